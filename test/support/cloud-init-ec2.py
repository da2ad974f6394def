"""Lets cloud-init's Ec2 datasource look for metadata on what it takes for AWS, and prints as JSON what it found.

To be run inside a guest's namespace. cloud-init's folders are temporary ones; the only thing that is not as in a guest of AWS is
that the hardware is not asked.
"""
import json
import os
import tempfile

from cloudinit import distros, helpers
from cloudinit.sources import DataSourceEc2 as source

source.identify_platform = lambda: source.CloudNames.AWS
settings = {
    'datasource_list': ['Ec2'],
    'datasource': {'Ec2': {
        'metadata_urls': ['http://169.254.169.254'], 'timeout': 5, 'max_wait': 10, 'strict_id': False,
        'apply_full_imds_network_config': False}}}
with tempfile.TemporaryDirectory(prefix='ovt-cloud-init-') as folder:
    names = {'cloud_dir': 'lib', 'run_dir': 'run', 'templates_dir': 'templates'}
    for name in names.values():
        os.mkdir(os.path.join(folder, name))
    paths = helpers.Paths({key: os.path.join(folder, name) for key, name in names.items()})
    distro = distros.fetch('debian')('debian', settings, paths)
    found = source.DataSourceEc2(settings, distro, paths)
    accepted = bool(found.get_data())
    report = {'accepted': accepted}
    if accepted:
        report.update(
            instanceId=found.get_instance_id(), userData=(found.get_userdata_raw() or b'').decode(),
            hasToken=bool(found._api_token))
print(json.dumps(report))
