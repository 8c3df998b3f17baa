"""One module per figure or table, named after its experiment: `draw(tables) -> Figure`, `table(tables) -> Table`."""
