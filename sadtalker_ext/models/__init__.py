"""Networks: one per file, a Config dataclass and an nn.Module each. Tensors only."""
