"""Will it fit? Memory per GPU from a model's own config.json, term by term, with source and error bar."""
