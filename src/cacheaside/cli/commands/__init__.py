"""One module for each command, with one function of its name; `cli.registry` lists them."""
