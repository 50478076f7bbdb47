"""The bundled example feeds and the command that runs the whole line on them."""
