"""Files of others -> model folder, encoder, data set; nothing in them is ever executed."""
