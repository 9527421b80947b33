#!/usr/bin/python3
"""A camera: an RTSP server on a free port of 127.0.0.1, whose number is printed. rtsp_camera.py [USER PASSWORD]: /cam is a moving test picture, and
with a user it wants Basic authentication. Needs Debian's gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-base."""
import sys

import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! rtpvrawpay name=pay0 pt=96 )")
factory.set_shared(True)
if len(sys.argv) == 3:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(sys.argv[1], sys.argv[2]), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.timeout_add_seconds(120, sys.exit)  # whoever started it is gone
GLib.MainLoop().run()
