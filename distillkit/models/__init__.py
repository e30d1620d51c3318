"""Find a model, verify it, convert it, load it.

- `downloads`: verified downloads from a hub or a package index
- `gguf`: GGUF to safetensors, once
- `gguf_writer`: a model and its tokenizer as one GGUF file
- `modelfile`: Ollama's Modelfile, its template cut from the tokenizer's own
- `loading`: from a name to a model and its tokenizer
- `vocabulary`: whether two models write in one vocabulary
- `pruning`: a model cut smaller: whole layers, or channels of its MLPs
- `chats`: a chat as its chat template writes it, and as its tokens
"""
