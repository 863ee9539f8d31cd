"""The duration that ``train all`` reports is that of the whole command."""

from types import SimpleNamespace

from sadtalker_ext.training.sadtalker import train_all as module


def test_reported_duration_includes_the_practice_clips(tmp_path, monkeypatch, caplog):
    clock = SimpleNamespace(now_s=1000.0)

    def takes(seconds, result):
        def run(*_arguments):
            clock.now_s += seconds
            return result

        return run

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    monkeypatch.setattr(module, "make_practice", takes(60, None))
    monkeypatch.setattr(module, "describe_clips", takes(0, "9 clips"))
    monkeypatch.setattr(module, "stages", takes(0, []))
    monkeypatch.setattr(module.exported, "export", takes(40, [tmp_path / "weights"]))
    with caplog.at_level("INFO"):
        module.train_all(module.TrainAllOptions("tiny", lambda: None), tmp_path / "run")
    assert "data: done in 60 s" in caplog.text
    assert "weights after 100 s; use it with" in caplog.text
