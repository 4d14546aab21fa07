"""Point-in-time reading of feature histories: their Delta logs and files, and the join with entity rows.

Keys and times are joined first; vectors and other wide columns are fetched last, for the rows that won. Local threads
and Spark's tasks run the same functions. Nothing here knows Feast.
"""
