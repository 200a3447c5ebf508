"""Picture files: headers, decoding and encoding on the CPU, label rasters as PNG."""
