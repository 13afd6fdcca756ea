"""How fast models learn: the same training of several models, and statistics over its learning curves.

`compare` is the command. `variants`, `paper` and `levers` name the models, `study` and `runner` train them,
`convergence` and `statistics` compute the numbers from each `learning_curve`; the other modules show them.
"""
