"""Networks: one per file, each an ``nn.Module`` with a config dataclass; they take and return tensors only."""
