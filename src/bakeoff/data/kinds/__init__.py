"""The kinds of data, one module each, as records with documented shapes. Letters used for shapes everywhere:

N rows or items · C channels · H, W height and width · M features · K classes · T targets or time · O observation
size · A action size, or atoms · P pairs · D embedding size · B batch.

Every kind has `split(seed) -> (train, test)`: the same seed gives the same split, another seed another one, unless the
record says that its split is a fixed one. Records are checked when made; a wrong one raises `DataError` naming the field.
"""
