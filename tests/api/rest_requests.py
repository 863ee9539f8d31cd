"""Parts of requests to the REST API and checks of its error messages."""

import base64

JOBS = "/sadtalker/v1/jobs"


def as_base64(path):
    return {"base64": base64.b64encode(path.read_bytes()).decode()}


def detail(response, code):
    """Return the error message of a response, after checking its status code."""
    assert response.status_code == code, response.text
    message = response.json()["detail"]
    assert isinstance(message, str)
    assert "Traceback" not in message
    assert "\n" not in message
    return message
