"""static-text: a bilingual static embedding, distilled from multilingual-e5-small; for huge volumes of text."""
