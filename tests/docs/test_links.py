#!/usr/bin/env python3
"""Do the pages hold together? Every link between files of the repository, with its anchor, leads somewhere; every page of docs/ can be
reached from the README; every folder and file that a page names in `code` as core/…, tests/… is there."""
import os
import re
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)\)')
PATH = re.compile(r'`((?:core|gallery|filters|presets|docs|tests)/[\w./-]*\w/?)`')


def pages():
    found = ['README.md', 'CHANGES']
    for folder, _, names in os.walk(os.path.join(ROOT, 'docs')):
        found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names if n.endswith('.md')]
    return sorted(found)


def text_of(page):
    with open(os.path.join(ROOT, page), encoding='utf-8') as f:
        return f.read()


def prose(text):
    """without fenced code"""
    return re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)


def anchors(page):
    """the names that headings get: lower case, punctuation dropped, blanks to dashes"""
    heads = re.findall(r'^#+ +(.*)$', prose(text_of(page)), flags=re.M)
    return {re.sub(r'[^\w\- ]', '', re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', h).lower()).replace(' ', '-') for h in heads}


def main():
    bad, reached, todo = [], set(), ['README.md']
    links = {}
    for page in pages():
        links[page] = []
        for target in LINK.findall(prose(text_of(page))):
            if re.match(r'[a-z]+:', target):
                continue
            path, _, anchor = target.partition('#')
            to = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if not os.path.exists(os.path.join(ROOT, to)):
                bad.append(f'{page}: there is no {target}')
            elif anchor and to.endswith('.md') and anchor not in anchors(to):
                bad.append(f'{page}: {to} has no heading for #{anchor}')
            links[page].append(to)
        for path in PATH.findall(prose(text_of(page))):
            if not re.search(r"(\b|_)[A-Z]+\b", os.path.splitext(os.path.basename(path))[0]) and not os.path.exists(os.path.join(ROOT, path)):
                bad.append(f'{page}: there is no {path}')
    while todo:
        page = todo.pop()
        if page in links and page not in reached:
            reached.add(page)
            todo += links[page]
    lost = [p for p in links if p not in reached]
    print('not ok' if bad else 'ok', 'links and paths in the pages lead somewhere')
    print('\n'.join(f'# {b}' for b in bad))
    print('not ok' if lost else 'ok', f'every page can be reached from the README ({len(links)} pages)')
    print('\n'.join(f'# {p}' for p in lost))
    return 1 if bad or lost else 0


if __name__ == '__main__':
    sys.exit(main())
