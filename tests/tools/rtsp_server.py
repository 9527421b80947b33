#!/usr/bin/python3
"""An RTSP server for tests, on GStreamer's (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-{base,good,bad}).

    rtsp_server.py NAME=FILE.ts[:LOSS]...

Serves each MPEG-TS file with H.264 as rtsp://127.0.0.1:PORT/NAME, in its own time, to every client from its beginning. LOSS is the share of
RTP packets that are left out. Takes a free port, prints its number when it listens, runs until its standard input ends.
"""
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main():
    Gst.init(None)
    loop = GLib.MainLoop()
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service("0")
    for mount in sys.argv[1:]:
        name, _, path = mount.partition("=")
        path, _, loss = path.partition(":")
        factory = GstRtspServer.RTSPMediaFactory.new()
        end = f"rtph264pay config-interval=-1 pt=96 ! identity drop-probability={loss} name=pay0" if loss else \
            "rtph264pay config-interval=-1 pt=96 name=pay0"
        factory.set_launch(f"( filesrc location={path} ! tsdemux ! h264parse ! {end} )")
        server.get_mount_points().add_factory("/" + name, factory)
    if not server.attach(None):
        sys.exit("rtsp_server: no port to listen on")
    print(server.get_bound_port(), flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), GLib.idle_add(loop.quit)), daemon=True).start()
    loop.run()


main()
