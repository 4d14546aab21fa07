"""Features over HTTP: `mmfs serve`."""
