"""What an encoder is worth, in numbers with intervals: ranking, naming, the space itself, pace. Plain numpy.

The one place for such figures: the training recipe's report and the comparison of releases read the same functions.
"""
