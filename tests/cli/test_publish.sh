#!/bin/sh
# mien publish against a broker of its own on loopback: messages, resuming, a broker that goes away, files that are rotated, credentials, TLS.

cd "$(dirname "$0")/../.." || exit 1
. tests/cli/lib.sh
PATH=$PATH:/usr/sbin
if ! command -v mosquitto >/dev/null || ! command -v mosquitto_sub >/dev/null; then echo "ok publish # SKIP no mosquitto"; exit 0; fi
if "$mien" publish /dev/null --once --give-up 0.1 2>&1 | grep -q 'without MQTT'; then echo "ok publish # SKIP built without libmosquitto"; exit 0; fi
unset MIEN_MQTT_USER MIEN_MQTT_PASSWORD
broker= subscriber= publisher=
chmod 711 "$work" # a broker that root starts is not root for long
trap 'kill $broker $subscriber $publisher 2>/dev/null; rm -rf "$work"' EXIT

# until SECONDS COMMAND...: wait for a condition, a tenth of a second at a time
until_true() {
    tenths=$(($1 * 10))
    shift
    while ! "$@" 2>/dev/null; do
        tenths=$((tenths - 1))
        [ $tenths -gt 0 ] || return 1
        sleep 0.1
    done
}
# A port that nobody has now; another program may take it before the broker does, then the next is tried.
start_broker() {
    for try in 1 2 3 4 5; do
        [ "${keep_port:-}" ] || port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        { echo "listener $port 127.0.0.1"; cat "$work/broker.extra"; } >"$work/broker.conf"
        mosquitto -c "$work/broker.conf" >"$work/broker.log" 2>&1 &
        broker=$!
        until_true 5 grep -q running "$work/broker.log" && return
        kill $broker 2>/dev/null
    done
    bad "a broker: $(cat "$work/broker.log")"
    exit 1
}
stop_broker() { kill $broker; wait $broker 2>/dev/null; broker=; }
# A persistent session: what is published while the subscriber is away is kept for it.
subscribe() {
    mosquitto_sub -p "$port" -h 127.0.0.1 -q 1 -t '#' -F '%t %r %p' "$@" >>"$work/got" 2>"$work/sub.err" &
    subscriber=$!
}
got() { [ "$(grep -c "^$1 " "$work/got")" -ge "$2" ]; }

event() { # KIND TRACK STATUS NAME SECOND
    printf '{"v":1,"event":"%s","track":%s,"status":"%s","name":%s,"id":1,"similarity":0.61,"first_s":1.000,"last_s":%s,"first_frame":1,"last_frame":2,"wall":"2026-11-23T21:40:%02d.250Z"}\n' \
        "$1" "$2" "$3" "$4" "$5" "$5"
}
log=$work/hall.jsonl
{ event enter 1 unrecognised null 1; event update 1 known '"Ann \"<李>\""' 2; event retract 1 unrecognised null 3; event leave 1 unrecognised null 4; } >"$log"

cat >"$work/broker.extra" <<'END'
allow_anonymous true
END
start_broker
subscribe
until_true 5 sh -c "mosquitto_pub -p $port -h 127.0.0.1 -t ready -m 1 -q 1; grep -q ready '$work/got'" || bad "a subscriber: $(cat "$work/sub.err")"
publish="$mien publish --host 127.0.0.1 --port $port --give-up 20"

t "to the log's end" 0 $publish "$log" --once
out_has "4 events published"
until_true 10 got mien/hall/available 2
is "3 messages about a face, 4 events" sh -c "[ \$(grep -c '^mien/tracked_object_update ' '$work/got') = 3 ] && [ \$(grep -c '^mien/hall/event ' '$work/got') = 4 ]"
is "online, then offline" [ "$(grep '^mien/hall/available ' "$work/got" | tr '\n' ' ')" = 'mien/hall/available 0 online mien/hall/available 0 offline ' ]
cat >"$work/check.py" <<'END'
import json, sys
got = [line.rstrip('\n').split(' ', 2) for line in open(sys.argv[1], encoding='utf-8')]
faces = [json.loads(m) for t, r, m in got if t == 'mien/tracked_object_update']
assert [set(f) for f in faces] == 3 * [{'type', 'id', 'name', 'score', 'camera', 'timestamp'}], faces
assert [f['name'] for f in faces] == [None, 'Ann "<李>"', None] and {f['type'] for f in faces} == {'face'}
assert {f['camera'] for f in faces} == {'hall'} and {f['score'] for f in faces} == {0.61}
assert len({f['id'] for f in faces}) == 1 and faces[1]['timestamp'] == 1795470002.25, faces
events = [m for t, r, m in got if t == 'mien/hall/event']
assert events == open(sys.argv[2], encoding='utf-8').read().splitlines()
END
is "Frigate's shape, and the lines as they are" python3 "$work/check.py" "$work/got" "$log"
t "again: nothing is new" 0 $publish "$log" --once
out_has "0 events published"
event enter 2 known '"Bob"' 5 >>"$log"
t "one more" 0 $publish "$log" --once
out_has "1 events published"
{ event leave 2 known '"Bob"' 6; printf '{"v":1,"event":"ent'; } >>"$log"
t "half a line waits" 0 $publish "$log" --once
out_has "1 events published"
mv "$log" "$log.1"
printf 'er","track":9,"status":"known","name":"Cy","first_s":1,"last_s":2,"wall":"2026-11-23T21:40:09.000Z"}\n' >>"$log.1"
event enter 1 known '"Dora"' 10 >"$log"
t "rotated while nobody looked: the rest, then the new one" 0 $publish "$log" --once
out_has "2 events published"
event enter 1 known '"Eve"' 11 >"$log"
t "started anew" 0 $publish "$log" --once
out_has "1 events published"
t "standard input" 0 sh -c "cat '$log' | $publish - --camera door --prefix frigate"
until_true 10 got frigate/tracked_object_update 1
is "with another prefix and camera" grep -q '^frigate/tracked_object_update .*"camera":"door"' "$work/got"
{ echo text; head -c 70000 /dev/zero | tr '\0' x; echo; event enter 3 known '"Fay"' 12; } >"$work/odd.jsonl"
t "lines of other hands" 0 $publish "$work/odd.jsonl" --once
out_has "1 events published"
err_has "passed over"
err_has "more than 65536 bytes"

# ---- followed, while the broker goes away and comes back
: >"$log"
"$mien" publish --host 127.0.0.1 --port "$port" "$log" --camera yard >"$work/follow.out" 2>"$work/follow.err" &
publisher=$!
event enter 1 known '"One"' 1 >>"$log"
t_name="followed"
is "a line is published as it comes" until_true 10 got mien/yard/event 1
kill $subscriber; wait $subscriber 2>/dev/null
stop_broker
event leave 1 known '"One"' 2 >>"$log"
event enter 2 known '"Two"' 3 >>"$log"
is "it notices that the broker is gone" until_true 10 grep -q 'cannot reach\|trying again' "$work/follow.err"
mv "$log" "$log.1"
event leave 2 known '"Two"' 4 >"$log"
keep_port=yes start_broker
subscribe
is "nothing is lost when it is back, over a rotation too" until_true 30 got mien/yard/event 4
kill -9 $publisher; wait $publisher 2>/dev/null; publisher=
is "the broker says that a killed one is offline" until_true 10 grep -q '^mien/yard/available 0 offline' "$work/got"
"$mien" publish --host 127.0.0.1 --port "$port" "$log" --camera yard >"$work/follow.out" 2>"$work/follow.err" &
publisher=$!
event enter 3 known '"Three"' 5 >>"$log"
is "it goes on after a kill" until_true 10 grep -q '^mien/yard/event .*Three' "$work/got"
kill -TERM $publisher; wait $publisher; status=$?; publisher=
is "a signal ends it (status $status)" [ $status = 143 ]
kill $subscriber; wait $subscriber 2>/dev/null; subscriber=
stop_broker
rm -f "$log.published"
t "a broker that is not there" 2 "$mien" publish --host 127.0.0.1 --port "$port" "$log" --once --give-up 0.5
err_has "was away for 0.5 seconds"

# ---- who may
printf 'ann:secret\n' >"$work/passwords" && mosquitto_passwd -U "$work/passwords" && chmod 644 "$work/passwords"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/ca.pem" -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
chmod 644 "$work/key.pem"
printf 'allow_anonymous false\npassword_file %s\ncafile %s\ncertfile %s\nkeyfile %s\n' "$work/passwords" "$work/ca.pem" "$work/ca.pem" "$work/key.pem" >"$work/broker.extra"
keep_port= start_broker
printf 'ann\nsecret\n' >"$work/secret"
rm -f "$log.published"
publish="$mien publish --host 127.0.0.1 --port $port --tls-ca $work/ca.pem --give-up 5 --once"
t "a secret that others may read" 2 $publish "$log" --credentials "$work/secret"
err_has "may be read by others"
chmod 600 "$work/secret"
t "user and password from a file, over TLS" 0 $publish "$log" --credentials "$work/secret"
out_has "2 events published"
rm -f "$log.published"
t "from the environment" 0 env MIEN_MQTT_USER=ann MIEN_MQTT_PASSWORD=secret $publish "$log"
rm -f "$log.published"
t "a wrong password" 2 env MIEN_MQTT_USER=ann MIEN_MQTT_PASSWORD=wrong $publish "$log"
err_has "refuses"
t "without TLS" 2 env MIEN_MQTT_USER=ann MIEN_MQTT_PASSWORD=secret "$mien" publish --host 127.0.0.1 --port "$port" --give-up 0.5 --once "$log"
t "no such certificates" 2 "$mien" publish --host 127.0.0.1 --port "$port" --tls-ca "$work/none.pem" --once "$log"
err_has none.pem
echo text >"$log.published"
t "a place that is none" 2 $publish "$log" --credentials "$work/secret"
err_has "$log.published"
t "no such log" 2 $publish "$work/none.jsonl" --credentials "$work/secret"
t "a camera's name with a wildcard" 2 $publish "$log" --camera 'a/#'
t_end
