"""Where a product version's pictures and films lie."""

# Picture paths and film paths, relative to the media folder.
Paths = tuple[list[str], list[str]]
# By product and version (0, or 1 after its change).
MediaPaths = dict[tuple[int, int], Paths]
