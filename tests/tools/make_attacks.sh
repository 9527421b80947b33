#!/bin/sh
# Makes attacks on a face camera from a portrait: what liveness must not take for a person.
#
#   make_attacks.sh OUT ROOM SOURCE [KIND...]
#
# ROOM is a picture or clip of what is behind, SOURCE a picture or clip of head and shoulders (4:5 of it is used). Writes OUT-KIND.mp4, 768x432 at 25
# frames a second, and prints their names. Kinds:
#   still    a photograph on the wall: nothing moves but the camera's noise
#   print    a photograph with a white margin in a hand: shifted, turned, tilted out of the plane
#   bent     the same, and bent to and fro
#   cutout   the head alone, cut out, in a hand
#   screen   on a screen of red, green and blue stripes with a bezel, filmed from a hand: moiré, another gamma, flicker
# DURATION is each clip's length in seconds (5), SEED another motion and noise (1), FFMPEG the program (ffmpeg). The same arguments give the same clips.
set -u
LC_ALL=C; export LC_ALL
[ $# -ge 3 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2; exit 2; }
out=$1 room=$2 source=$3
shift 3
[ $# -gt 0 ] || set -- still print bent cutout screen
: "${FFMPEG:=ffmpeg}" "${DURATION:=5}" "${SEED:=1}"
fps=25 size=768:432
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

ff() { $FFMPEG -nostdin -hide_banner -v error -y "$@"; }
is_still() { case $1 in *.jpg|*.jpeg|*.png|*.webp) return 0 ;; esac; return 1; }
# forever: input options that repeat a picture, or a clip
forever() { if is_still "$1"; then echo "-loop 1 -framerate $fps -i"; else echo "-stream_loop -1 -i"; fi; }
# picture NAME SIZE FORMAT EXPRESSIONS: a picture from a formula, made once
picture() { ff -f lavfi -i "color=black:s=$2,format=$3,geq=$4" -frames:v 1 -update 1 "$work/$1.png"; }

# ---- the card: what is held up, with its transparent surroundings. Once for a picture, else frame by frame
portrait="fps=$fps,crop=w='min(iw,floor(ih*4/5))':h='min(ih,floor(iw*5/4))'"
make_card() {
    opaque="lum='255*gte(min(min(X,Y),min(W-1-X,H-1-Y)),6)'"
    case $1 in
    still|print|bent)
        picture mask 324x399 gray "$opaque" || return
        chain="[0]$portrait,scale=288:360,pad=324:399:18:18:color=0xeeeeee,format=gbrp[p];[p][1]" ;;
    cutout)
        picture mask 300x375 gray "lum='255*lt(hypot((X-W/2)/(W*0.36),(Y-H*0.46)/(H*0.40)),1)'" || return
        chain="[0]$portrait,scale=300:375,format=gbrp[p];[p][1]" ;;
    screen)
        picture mask 660x810 gray "$opaque" || return
        dark='(0.7+0.3*lt(mod(Y,3),2))'
        picture stripes 600x750 gbrp "r='255*(0.45+0.55*eq(mod(X,3),0))*$dark':g='255*(0.45+0.55*eq(mod(X,3),1))*$dark':b='255*(0.45+0.55*eq(mod(X,3),2))*$dark'" || return
        chain="[0]$portrait,scale=200:250,format=gbrp,scale=600:750:flags=neighbor[q];[q][2]blend=all_mode=multiply,\
pad=660:810:30:30:color=0x0c0c0c[p];[p][1]" ;;
    *) echo "make_attacks.sh: unknown kind '$1'" >&2; return 1 ;;
    esac
    stripes=mask
    [ "$1" != screen ] || stripes=stripes
    if is_still "$source"; then card=$work/card.png only="-frames:v 1 -update 1"; else card=$work/card.mkv only="-t $DURATION -c:v png"; fi
    # shellcheck disable=SC2046,SC2086
    ff $(forever "$source") "$source" $(forever .png) "$work/mask.png" $(forever .png) "$work/$stripes.png" \
        -filter_complex "[1]format=gray[m];$(echo "$chain" | sed 's/\[1\]$/[m]/')alphamerge,format=gbrap" $only "$card"
}

# ---- the hand: slow sines and a fast tremor. SEED shifts their phases
ph=$(awk -v s="$SEED" 'BEGIN { printf "%.2f", s * 1.7 }')
hand_x="20*sin(2*PI*0.31*t+$ph)+9*sin(2*PI*0.83*t+2*$ph)+sin(2*PI*6.1*t)"
hand_y="12*sin(2*PI*0.27*t+1.3+$ph)+5*sin(2*PI*0.97*t)+0.8*sin(2*PI*7.3*t+1)"
turn="(4*sin(2*PI*0.23*t+$ph)+1.5*sin(2*PI*0.71*t+1))*PI/180"
lean_x="0.05*sin(2*PI*0.29*on/$fps+$ph)" lean_y="0.04*sin(2*PI*0.37*on/$fps+2+$ph)"
tilt="perspective=eval=frame:sense=destination:interpolation=linear:x0='W*(0.07+$lean_x)':y0='H*(0.07+$lean_y)':\
x1='W*(0.93-$lean_x)':y1='H*(0.07-$lean_y)':x2='W*(0.07-$lean_x)':y2='H*(0.93-$lean_y)':x3='W*(0.93+$lean_x)':y3='H*(0.93+$lean_y)'"
rotate="rotate=a='$turn':fillcolor=none:ow='hypot(iw,ih)':oh=ow"
held="overlay=x='(W-w)/2+$hand_x':y='(H-h)/2+$hand_y':eval=frame"
# A sheet's bend as a map of shifts, small and enlarged: 128 is no shift.
bend="color=black:s=40x48:r=$fps,format=gray,geq=lum='128+%s*sin(2*PI*0.4*T)*(1-pow(2*X/W-1,2))',scale=324:399:flags=bilinear,split[%s1][%s2];\
[%s1]format=gbrp[%s3];[%s3][%s2]alphamerge,format=gbrap[%s]"

motion() {
    case $1 in
    still)  echo "[1]rotate=a=0.05:fillcolor=none:ow='hypot(iw,ih)':oh=ow[card];[room][card]overlay=x=(W-w)/2:y=(H-h)/2" ;;
    bent)   printf "$bend;$bend;[1]format=gbrap[flat];[flat][mx][my]displace=edge=smear,format=yuva444p,$tilt,$rotate[card];[room][card]$held" \
                7 mx mx mx mx mx mx mx 5 my my my my my my my ;;
    screen) echo "[1]format=yuva444p,$tilt,scale=iw*0.53:ih*0.53:flags=bilinear,split[e][f];[f]alphaextract[g];[e]eq=gamma=1.5:contrast=0.9:brightness=0.012*sin(2*PI*10*t):eval=frame[h];[h][g]alphamerge,\
$rotate[card];[room][card]$held" ;;
    *)      echo "[1]format=yuva444p,$tilt,$rotate[card];[room][card]$held" ;;
    esac
}

for kind; do
    make_card "$kind" || exit 1
    # shellcheck disable=SC2046
    ff $(forever "$room") "$room" $(forever "$card") "$card" -filter_complex \
        "[0]scale=$size:force_original_aspect_ratio=increase,crop=$size,fps=$fps,format=yuv420p[room];$(motion "$kind"),noise=alls=5:allf=t:all_seed=$SEED" \
        -t "$DURATION" -an -c:v libx264 -preset veryfast -crf 20 -pix_fmt yuv420p "$out-$kind.mp4" || exit 1
    echo "$out-$kind.mp4"
done
