"""What libraries write to stderr on their own tells no password either."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

PLAYLIST = """\
#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:2
#EXTINF:2.0,
missing.ts
#EXT-X-ENDLIST
"""


@pytest.fixture
def playlist() -> Iterator[int]:
    """The port of a server with a stream whose pieces are missing, of which FFmpeg complains by address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.endswith(".m3u8"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.end_headers()
            self.wfile.write(PLAYLIST.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_ffmpeg_does_not_tell_the_cameras_password(playlist: int, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    source = f"http://admin:S3cretCam@127.0.0.1:{playlist}/live.m3u8"
    config.write_text(
        f"camera: {{source: '{source}'}}\nmqtt: {{enabled: false}}\nbuzzer: {{driver: simulated}}\n"
        f"service: {{state_dir: {tmp_path}}}\n"
    )
    command = [sys.executable, "-m", "edge_agent", "check", "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "gives no stream" in done.stdout
    assert "S3cretCam" not in done.stdout + done.stderr
