"""Encoders and decoders: U-Net, MLP, Transformer."""
