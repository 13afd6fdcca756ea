"""The detector of both papers, and what this package adds to it.

Read `detector` first: it has the whole path from images to predictions. Then `decoders`, the two papers' decoders, with
`attention` and `spatial_query`, which have the equations of Conditional DETR, and `reference`. `encoder`, `backbone`,
`resnet` and `layers` are as in DETR. `refining`, `box_bias`, `box_offsets`, `keys` and `query_bias` are not in the
papers, `initialise` has both papers' initialisation and our own. `docs/how-it-works.md` explains all of it.

Axes: B images, N queries, L image tokens, S decoder layers, D channels, H heads, E channels per head, C logits. R is 2
for references that are points, 4 for boxes.
"""
