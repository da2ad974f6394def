#!/usr/bin/env python3
"""Makes random configuration files and records what the genuine oslo.config reads from them.

usage: record-oslo-config.py SEED COUNT > cases.json
Needs Debian's python3-oslo.config (or any other installation of it).
"""

import json
import os
import random
import sys
import tempfile

from oslo_config import cfg

OPTIONS = [
    {'group': 'DEFAULT', 'name': 'state_path', 'type': 'string', 'default': '/var/lib/neutron'},
    {'group': 'DEFAULT', 'name': 'socket', 'type': 'string', 'default': '$state_path/metadata_proxy'},
    {'group': 'DEFAULT', 'name': 'host', 'type': 'string', 'default': '127.0.0.1',
     'deprecated': [{'name': 'old_ip'}]},
    {'group': 'DEFAULT', 'name': 'secret', 'type': 'string', 'default': ''},
    {'group': 'DEFAULT', 'name': 'port', 'type': 'integer', 'default': '8775', 'min': 0, 'max': 65535},
    {'group': 'DEFAULT', 'name': 'insecure', 'type': 'boolean', 'default': 'false'},
    {'group': 'DEFAULT', 'name': 'mode', 'type': 'string', 'choices': ['deduce', 'user', 'group', 'all'],
     'default': 'deduce'},
    {'group': 'DEFAULT', 'name': 'workers', 'type': 'integer'},
    {'group': 'agent', 'name': 'interval', 'type': 'float', 'default': '30'},
    {'group': 'agent', 'name': 'extensions', 'type': 'list', 'default': ''},
    {'group': 'agent', 'name': 'many', 'type': 'multi', 'deprecated': [{'name': 'old_many'}]},
    {'group': 'ovn', 'name': 'connection', 'type': 'list', 'default': 'tcp:127.0.0.1:6642'},
    {'group': 'ovn', 'name': 'note', 'type': 'string',
     'deprecated': [{'group': 'DEFAULT', 'name': 'ovn_note'}]},
]

NAMES = [o['name'] for o in OPTIONS] + ['old_ip', 'old_many', 'ovn_note', 'unknown', 'Host']
SECTIONS = ['DEFAULT', 'DEFAULT', 'default', 'agent', 'AGENT', 'Agent', 'ovn', 'OVN', 'other', 'DEFAULT ']
WORDS = [
    'a', 'b c', '#x', 'v # not', 'v ; not', ';', '"q"', "'q'", '"half', "half'", '"', "''", '"a\'', '$state_path',
    '${host}', '$$', '\\$', '$', '$1', '${', '${agent.interval}', '$port', '$unknown', '${no.such}', '$Host',
    'true', 'True', 'YES', '0', 'on', 'off', '8775', ' 12 ', '-1', '70000', '1_000', '0x10', '3.5', '.5', '1e3',
    'a,b', 'a, b ,', ',', 'tcp:10.0.0.1:6642,tcp:10.0.0.2:6642', 'deduce', 'all', 'group', 'ü', '\u00a0x\u00a0',
    '=', ':', 'x=y', 'x:y', '[z]', '\\', '/run/$host/x', '$state_path$host', 'pa$$word', 'pa\\$word', '$insecure',
    '$extensions', '\ufeff', '\x1f', '${state_path}s', '$workers',
]


def line(random):
    kind = random.random()
    if kind < 0.08:
        return random.choice(['# comment', '; comment', '#', '  # indented', '\t; indented', '#a = b'])
    if kind < 0.16:
        return random.choice(['', '   ', '\t'])
    if kind < 0.22:
        return random.choice(['  more', '\tmore, c', '   $host', '  "quoted"', '  x = y'])
    if kind < 0.36:
        return '[%s]%s' % (random.choice(SECTIONS), random.choice(['', '', ' ', '\t']))
    if kind < 0.375:
        return random.choice(['nonsense', '[open', '[]', '= value', ': value', '[a]b'])
    separator = random.choice([' = ', '=', ' =', '= ', ':', ' : ', '\t=\t'])
    value = random.choice(WORDS) if random.random() < 0.8 else random.choice(WORDS) + random.choice(WORDS)
    if random.random() < 0.03:
        value = ''
    return random.choice(NAMES) + separator + value


def text(random):
    first = random.choice(['[DEFAULT]', '[DEFAULT]', '[agent]', '[ovn]', '# head\n[DEFAULT]', '\ufeff[DEFAULT]']
                          if random.random() < 0.15 else ['[DEFAULT]', '[agent]', '[ovn]'])
    lines = [first] + [line(random) for _ in range(random.randint(0, 9))]
    end = random.choice(['\n', '\n', '\n', '\r\n', '\r'])
    return end.join(lines) + random.choice(['', end])


def register(conf):
    kinds = {'string': cfg.StrOpt, 'boolean': cfg.BoolOpt, 'integer': cfg.IntOpt, 'float': cfg.FloatOpt,
             'list': cfg.ListOpt, 'multi': cfg.MultiStrOpt}
    for o in OPTIONS:
        extra = {key: o[key] for key in ('min', 'max', 'choices', 'default') if key in o}
        older = [cfg.DeprecatedOpt(d['name'], group=d.get('group')) for d in o.get('deprecated', [])]
        opt = kinds[o['type']](o['name'], deprecated_opts=older, **extra)
        conf.register_opt(opt, group=None if o['group'] == 'DEFAULT' else o['group'])


def read(files):
    conf = cfg.ConfigOpts()
    register(conf)
    arguments = []
    with tempfile.TemporaryDirectory() as folder:
        for index, content in enumerate(files):
            path = os.path.join(folder, '%d.conf' % index)
            with open(path, 'w', encoding='utf-8', newline='') as f:
                f.write(content)
            arguments += ['--config-file', path]
        try:
            conf(arguments, default_config_files=[], default_config_dirs=[])
        except cfg.Error:
            return {'refused': True}
    values = {}
    for o in OPTIONS:
        where = conf if o['group'] == 'DEFAULT' else conf[o['group']]
        key = '%s.%s' % (o['group'], o['name'])
        try:
            values[key] = {'value': where[o['name']]}
        except Exception:  # every kind of failure counts as one
            values[key] = {'error': True}
    return {'values': values}


def main():
    generator = random.Random(int(sys.argv[1]))
    cases = []
    for _ in range(int(sys.argv[2])):
        files = [text(generator) for _ in range(generator.choice([1, 1, 2, 3]))]
        cases.append({'files': files, **read(files)})
    json.dump({'options': OPTIONS, 'cases': cases}, sys.stdout, indent=1, ensure_ascii=True)
    sys.stdout.write('\n')


main()
