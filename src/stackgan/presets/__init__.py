"""Named settings, one TOML file each: differences from the defaults only."""
