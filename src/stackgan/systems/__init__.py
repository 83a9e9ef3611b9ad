"""Systems from text to pictures, a folder each, and what several of them share."""
