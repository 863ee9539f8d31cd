"""Several clients with several jobs each: all videos are made, limits hold, and nothing is left."""

import threading

from rest_requests import JOBS

from sadtalker_ext.pipeline.job import Limits

CLIENTS, JOBS_EACH, WAITING = 3, 2, 1


def test_all_jobs_of_several_clients_are_done(serve, portrait_file):
    """A full queue answers 503 with Retry-After; a client that tries again succeeds."""
    service = serve(limits=Limits(waiting=WAITING))
    portrait = portrait_file.read_bytes()
    views, most_waiting, failures = [], [], []

    def submit():
        while True:
            files, fields = {"portrait": ("me.png", portrait)}, {"idle_s": "0.2"}
            answer = service.client.post(JOBS, files=files, data=fields)
            if answer.status_code == 202:
                return answer.json()["id"]
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            threading.Event().wait(0.3)

    def client():
        try:
            for _ in range(JOBS_EACH):
                job = submit()
                most_waiting.append(service.client.get("/sadtalker/v1/health").json()["waiting"])
                view = service.wait(job)
                content = service.client.get(f"{JOBS}/{job}/video").content
                views.append((view["state"], view["error"], content[4:8]))
                assert service.client.delete(f"{JOBS}/{job}").status_code == 200
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert views == [("done", "", b"ftyp")] * (CLIENTS * JOBS_EACH)
    assert max(most_waiting) <= WAITING
    assert service.queue.jobs() == []
    assert service.temporary_files() == []
