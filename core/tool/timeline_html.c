/* The timeline as one HTML page that needs nothing else: bars over time as buttons, made here, so that the page can be read without
 * scripts; a short script seeks in the film, follows it, and keeps the moment in the address (#t=SECONDS, #t=SECONDS&log=N). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "timeline.h"

static const char page_style[] =
    ":root{color-scheme:light dark;--back:#fbfbfd;--text:#1c1e26;--dim:#666b7a;--line:#d9dce5;--lane:#eef0f5;--known:#2f7d4f;"
    "--unrecognised:#b3620a;--spoof:#b3261e;--undecided:#7d8394;--now:#1f5fd0}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14161c;--text:#e7e9f0;--dim:#9aa0b0;--line:#343946;--lane:#1f232c;--known:#5cb581;"
    "--unrecognised:#e09a4a;--spoof:#f07068;--undecided:#8b92a4;--now:#7aa7ff}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--back);color:var(--text);"
    "font:15px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:1.35rem;margin:0 0 .2rem}h2{font-size:1rem;margin:2rem 0 .5rem;overflow-wrap:anywhere}p{margin:.2rem 0;color:var(--dim)}\n"
    "video{display:block;width:100%;max-height:48vh;background:#000;margin:1rem 0 0;border-radius:6px}\n"
    "#moment{position:sticky;top:0;z-index:2;display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:center;min-height:3rem;padding:.5rem 0;"
    "background:var(--back);border-bottom:1px solid var(--line)}\n"
    "#what{font-weight:600}#command{font:13px ui-monospace,monospace;padding:.15rem .4rem;background:var(--lane);border-radius:4px;"
    "overflow-wrap:anywhere}#moment button{font:inherit;color:inherit;background:var(--lane);border:1px solid var(--line);border-radius:4px;"
    "padding:.1rem .6rem;cursor:pointer}\n"
    ".row,.axis{display:grid;grid-template-columns:minmax(7rem,14rem) 1fr;gap:.8rem;align-items:center}\n"
    ".row{border-top:1px solid var(--line);padding:.15rem 0}.who{display:flex;justify-content:space-between;gap:.6rem;min-width:0}\n"
    ".who b{font-weight:500;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.who span{color:var(--dim);font-size:13px;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}\n"
    ".lane{position:relative;height:1.6rem;background:var(--lane);border-radius:3px;cursor:pointer}\n"
    ".lane button{position:absolute;top:3px;bottom:3px;min-width:4px;padding:0;border:0;border-radius:3px;cursor:pointer;background:var(--undecided)}\n"
    ".lane .known{background:var(--known)}.lane .unrecognised{background:var(--unrecognised)}.lane .spoof{background:var(--spoof)}\n"
    ".lane button:hover{filter:brightness(1.2)}.lane button:focus-visible{outline:2px solid var(--now);outline-offset:2px;z-index:1}\n"
    ".now{position:absolute;top:-3px;bottom:-3px;width:2px;background:var(--now);pointer-events:none}\n"
    ".ticks{position:relative;height:1.4rem;overflow:hidden;color:var(--dim);font-size:12px;font-variant-numeric:tabular-nums}\n"
    ".ticks span{position:absolute;border-left:1px solid var(--line);padding-left:.25rem;white-space:nowrap}\n"
    "@media(max-width:60rem){.ticks span:nth-child(even){display:none}}\n"
    "@media(max-width:40rem){.row,.axis{grid-template-columns:1fr;gap:0}}\n"
    "@media print{#moment,video{display:none}}\n";

static const char page_script[] =
    "'use strict';\n"
    "const $=q=>document.querySelector(q),all=q=>[...document.querySelectorAll(q)],logs=all('section'),video=$('video');\n"
    "const two=n=>String(n).padStart(2,'0');\n"
    "const clock=t=>document.body.dataset.wall?new Date(t*1000).toLocaleString():"
    "Math.floor(t/3600)+':'+two(Math.floor(t/60)%60)+':'+two(Math.floor(t)%60)+'.'+Math.floor(t*10%10);\n"
    "const quoted=s=>\"'\"+s.replace(/'/g,\"'\\\\''\")+\"'\";\n"
    "let log=-1;\n"
    "function line(t){logs.forEach((s,i)=>{const from=+s.dataset.from,to=+s.dataset.to;s.querySelectorAll('.lane').forEach(lane=>{\n"
    "  let now=lane.querySelector('.now');if(!now){now=document.createElement('i');now.className='now';lane.append(now)}\n"
    "  now.hidden=(i!==log&&!document.body.dataset.wall)||t<from||t>to;now.style.left=100*(t-from)/(to-from||1)+'%'})})}\n"
    "function seek(t,i,words){const s=logs[i];if(!s||!isFinite(t))return;t=Math.max(t,0);\n"
    "  const file=s.dataset.video,other=i!==log;log=i;line(t);\n"
    "  $('#what').textContent=words||'';$('#when').textContent=clock(t);\n"
    "  const command=$('#command');command.hidden=$('#copy').hidden=!!document.body.dataset.wall;\n"
    "  command.textContent='ffplay -ss '+t.toFixed(3)+' '+(s.dataset.path?quoted(s.dataset.path):'FILM');\n"
    "  if(video&&file){if(other&&video.getAttribute('src')!==file)video.src=file;video.currentTime=t}\n"
    "  history.replaceState(null,'','#t='+t.toFixed(3)+(i?'&log='+i:''))}\n"
    "function linked(){const h=new URLSearchParams(location.hash.slice(1));if(h.has('t'))seek(parseFloat(h.get('t')),parseInt(h.get('log')||'0'))}\n"
    "logs.forEach((s,i)=>s.addEventListener('click',e=>{const bar=e.target.closest('.lane button'),lane=e.target.closest('.lane');\n"
    "  if(bar)return seek(+bar.dataset.t,i,bar.title);if(!lane)return;const r=lane.getBoundingClientRect();\n"
    "  seek(+s.dataset.from+(s.dataset.to-s.dataset.from)*(e.clientX-r.left)/r.width,i)}));\n"
    "document.addEventListener('keydown',e=>{const bars=all('.lane button'),at=bars.indexOf(document.activeElement);if(at<0)return;\n"
    "  const to={ArrowRight:at+1,ArrowLeft:at-1,Home:0,End:bars.length-1}[e.key];if(bars[to]){bars[to].focus();e.preventDefault()}});\n"
    "$('#copy').addEventListener('click',()=>navigator.clipboard.writeText($('#command').textContent));\n"
    "if(video){const told=()=>{document.body.dataset.at=video.currentTime.toFixed(3);line(video.currentTime);\n"
    "  $('#when').textContent=clock(video.currentTime)};\n"
    "  video.addEventListener('timeupdate',told);video.addEventListener('seeked',told);}\n"
    "addEventListener('hashchange',linked);linked();\n";

/* ---- text */

/* What cannot harm a terminal, made harmless for HTML, in attributes too. */
static void put(FILE *f, const char *text)
{
    for (const char *s = safe(text); *s; s++) {
        const char *e = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '"' ? "&quot;" : *s == '\'' ? "&#39;" : NULL;
        if (e)
            fputs(e, f);
        else
            fputc(*s, f);
    }
}

static const char *duration_text(double s)
{
    static char ring[2][32];
    static unsigned next;
    char *text = ring[next++ % 2];
    long long whole = llround(s);
    if (whole >= 3600)
        snprintf(text, sizeof(ring[0]), "%lld h %02d min", whole / 3600, (int)(whole / 60 % 60));
    else if (whole >= 60)
        snprintf(text, sizeof(ring[0]), "%d min %02d s", (int)(whole / 60), (int)(whole % 60));
    else
        snprintf(text, sizeof(ring[0]), "%.1f s", s);
    return text;
}

/* As the value of src: a file's name with what a URL would take for its own marks as %XX; a URL as it is. */
static void put_src(FILE *f, const char *video)
{
    if (strstr(video, "://")) {
        put(f, video);
        return;
    }
    if (strchr(video, ':') && *video != '/')
        fputs("./", f); /* no scheme */
    for (const unsigned char *s = (const unsigned char *)video; *s; s++) {
        if (*s > 0x7f || *s < 0x21 || strchr("\"#%<>?[\\]^`{|}&'", *s))
            fprintf(f, "%%%02X", *s);
        else
            fputc(*s, f);
    }
}

/* ---- parts of the page */

static void put_bar(FILE *f, const Timeline *t, const Stay *s, double from_s, double span_s)
{
    fprintf(f, "<button class=\"%s\" style=\"left:%.4f%%;width:%.4f%%\" data-t=\"%.3f\" title=\"", mien_status_name(s->status),
            100 * (s->from_s - from_s) / span_s, 100 * (s->to_s - s->from_s) / span_s, s->from_s);
    put(f, stay_title(s));
    fprintf(f, ", %s to %s, %s", time_text(t, s->from_s), time_text(t, s->to_s), duration_text(s->to_s - s->from_s));
    if (isfinite(s->similarity))
        fprintf(f, ", similarity %.2f", s->similarity);
    fprintf(f, "%s\"></button>\n", s->is_open ? ", still there at the log's end" : "");
}

/* A row: all stays with the title of the first of them, from `from` on; they are marked in done. */
static void put_row(FILE *f, const Timeline *t, size_t from, size_t end, char *done, double from_s, double span_s)
{
    const char *title = stay_title(&t->stay[from]);
    double sum_s = 0;
    int n = 0;
    for (size_t i = from; i < end; i++)
        if (!strcmp(stay_title(&t->stay[i]), title)) {
            sum_s += t->stay[i].to_s - t->stay[i].from_s;
            n++;
        }
    fputs("<div class=\"row\"><div class=\"who\"><b title=\"", f);
    put(f, title);
    fputs("\">", f);
    put(f, title);
    fprintf(f, "</b><span>%s, %d×</span></div><div class=\"lane\" role=\"group\" aria-label=\"", duration_text(sum_s), n);
    put(f, title);
    fputs("\">\n", f);
    for (size_t i = from; i < end; i++)
        if (!done[i] && !strcmp(stay_title(&t->stay[i]), title)) {
            put_bar(f, t, &t->stay[i], from_s, span_s);
            done[i] = 1;
        }
    fputs("</div></div>\n", f);
}

/* Round times: seven at most, and four where a date stands before them. */
static void put_axis(FILE *f, const Timeline *t, double from_s, double span_s)
{
    static const double steps_s[] = { 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400 };
    double least_s = span_s / (t->wall ? 4 : 7), step_s = least_s;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(steps_s); i++)
        if (steps_s[i] >= least_s) {
            step_s = steps_s[i];
            break;
        }
    fputs("<div class=\"axis\" aria-hidden=\"true\"><span></span><div class=\"ticks\">", f);
    for (double at_s = ceil(from_s / step_s) * step_s; at_s <= from_s + span_s; at_s += step_s)
        fprintf(f, "<span style=\"left:%.3f%%\">%s</span>", 100 * (at_s - from_s) / span_s, time_text(t, at_s));
    fputs("</div></div>\n", f);
}

/* The named first, then the others; the rows by first appearance. */
static void put_log(FILE *f, const Timeline *t, int source, size_t begin, size_t end, const char *video, char *done)
{
    double from_s = t->wall ? INFINITY : 0, to_s = -INFINITY;
    for (size_t i = begin; i < end; i++) {
        from_s = fmin(from_s, t->stay[i].from_s);
        to_s = fmax(to_s, t->stay[i].to_s);
    }
    if (begin == end)
        from_s = to_s = 0;
    double span_s = fmax(to_s - from_s, 0.001);
    fprintf(f, "<section data-from=\"%.3f\" data-to=\"%.3f\"", from_s, from_s + span_s);
    if (video) {
        fputs(" data-video=\"", f);
        put_src(f, video);
        fputs("\" data-path=\"", f);
        put(f, video);
        fputs("\"", f);
    }
    fputs(">\n<h2>", f);
    put(f, t->log[source]);
    fputs("</h2>\n", f);
    if (begin == end)
        fputs("<p>Nobody.</p>\n", f);
    else
        put_axis(f, t, from_s, span_s);
    for (int named = 1; named >= 0; named--)
        for (size_t i = begin; i < end; i++)
            if (!done[i] && !t->stay[i].name[0] == !named)
                put_row(f, t, i, end, done, from_s, span_s);
    fputs("</section>\n", f);
}

static void put_page(FILE *f, const Timeline *t, const TextList *videos, char *done)
{
    fprintf(f, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline';"
               "script-src 'unsafe-inline';media-src * file: data: blob:\">\n"
               "<title>Who was seen when</title>\n<style>\n%s</style>\n</head>\n<body%s>\n<h1>Who was seen when</h1>\n",
            page_style, t->wall ? " data-wall=\"1\"" : "");
    fprintf(f, "<p>%zu appearance%s in %d log%s. A click goes to that second; the arrow keys go from bar to bar.</p>\n", t->n, t->n == 1 ? "" : "s",
            t->n_logs, t->n_logs == 1 ? "" : "s");
    if (videos->n) {
        fputs("<video controls preload=\"metadata\" muted src=\"", f);
        put_src(f, videos->item[0]);
        fputs("\"></video>\n", f);
    }
    fputs("<div id=\"moment\" role=\"status\" aria-live=\"polite\"><span id=\"when\"></span><span id=\"what\"></span><code id=\"command\" hidden></code>"
          "<button id=\"copy\" hidden>Copy</button></div>\n<main>\n", f);
    size_t at = 0;
    for (int i = 0; i < t->n_logs; i++) {
        size_t end = at;
        while (end < t->n && t->stay[end].source == i)
            end++;
        put_log(f, t, i, at, end, videos->n ? videos->item[videos->n > 1 ? i : 0] : NULL, done);
        at = end;
    }
    fprintf(f, "</main>\n<script>\n%s</script>\n</body>\n</html>\n", page_script);
}

int timeline_html(const Timeline *t, const char *path, const TextList *videos)
{
    char *text = NULL, *done = mien_calloc(t->n ? t->n : 1, 1);
    size_t bytes = 0;
    FILE *f = done ? open_memstream(&text, &bytes) : NULL;
    int failed = !f;
    if (f) {
        put_page(f, t, videos, done);
        failed = ferror(f);
        failed |= fclose(f) != 0;
    }
    int ret = failed ? mien_fail(t->tool->log, MIEN_ERR(ENOMEM), "%s: out of memory", path)
                     : mieni_file_write_atomic(path, text, bytes, 0644, t->tool->log);
    free(text);
    mien_free(done);
    return ret;
}
