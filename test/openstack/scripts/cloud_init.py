"""Lets cloud-init's OpenStack datasource look for metadata and prints as JSON what it found: cloud_init.py URL

To be run inside a guest's namespace. cloud-init's folders are temporary ones; the only thing that is not as in a guest is
that the hardware is not asked whether it belongs to OpenStack.
"""
import json
import os
import sys
import tempfile

import requests.adapters
from cloudinit import distros, helpers, version
from cloudinit.sources import DataSourceOpenStack as source

seen = []
send = requests.adapters.HTTPAdapter.send


def recording(adapter, request, **options):
    try:
        answer = send(adapter, request, **options)
    except Exception as thrown:
        seen.append([request.method, request.url, type(thrown).__name__])
        raise
    seen.append([request.method, request.url, answer.status_code])
    return answer


requests.adapters.HTTPAdapter.send = recording
source.detect_openstack = lambda *_, **__: True
settings = {
    'datasource_list': ['OpenStack'],
    'datasource': {'OpenStack': {'metadata_urls': [sys.argv[1]], 'timeout': 10, 'retries': 2, 'max_wait': 30}}}
with tempfile.TemporaryDirectory(prefix='ovt-cloud-init-') as folder:
    names = {'cloud_dir': 'lib', 'run_dir': 'run', 'templates_dir': 'templates'}
    for name in names.values():
        os.mkdir(os.path.join(folder, name))
    paths = helpers.Paths({key: os.path.join(folder, name) for key, name in names.items()})
    distro = distros.fetch('debian')('debian', settings, paths)
    found = source.DataSourceOpenStack(settings, distro, paths)
    accepted = bool(found.get_data())
    report = {'accepted': accepted, 'version': version.version_string(), 'requests': seen}
    if accepted:
        report.update(
            instanceId=found.get_instance_id(), address=found.metadata_address, hostname=str(found.get_hostname()),
            userData=(found.get_userdata_raw() or b'').decode(), keys=found.get_public_ssh_keys())
print(json.dumps(report))
