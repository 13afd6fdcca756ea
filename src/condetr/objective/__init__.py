"""What a detector is trained for: queries are matched with objects, and losses are computed from the pairs.

Read `matching` and `set_loss` first, the loss of both papers, and `learners`, which the training loop calls.
`supervision` compares the predictions of groups of queries with the objects. `query_groups`, `denoising` and
`one_to_many` are not in the papers: further queries, or further heads, that exist in training only.
"""
