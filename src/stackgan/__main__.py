"""``python -m stackgan`` is ``stackgan``."""

from stackgan.cli.main import main

main()
