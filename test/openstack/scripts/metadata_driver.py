"""Runs Neutron's own metadata driver with a real process monitor, as told line by line on standard input.

metadata_driver.py STATE-FOLDER AGENT-SOCKET ml2|ovn NAMESPACE ID [INTERFACE]

Commands: spawn, check (what the monitor does every minute), destroy, quit. Each is answered with one line of JSON: the pid and whether the
process manager holds it for active, or the error.
"""
import eventlet

eventlet.monkey_patch()

import json
import sys

from oslo_config import cfg
from oslo_log import log

from neutron.agent.linux import external_process
from neutron.common import config as common_config
from neutron.conf.agent import common as agent_config
from neutron.conf.agent.metadata import config as metadata_config
from neutron import privileged

state, socket, flavour, namespace, scope_id = sys.argv[1:6]
conf = cfg.CONF
common_config.register_common_config_options()
agent_config.register_root_helper(conf)
agent_config.register_interface_opts(conf)
metadata_config.register_meta_conf_opts(metadata_config.SHARED_OPTS, conf)
metadata_config.register_meta_conf_opts(metadata_config.METADATA_PROXY_HANDLER_OPTS, conf)
metadata_config.register_meta_conf_opts(metadata_config.UNIX_DOMAIN_METADATA_PROXY_OPTS, conf)
conf([], project='neutron', default_config_files=[])
conf.set_override('state_path', state)
conf.set_override('metadata_proxy_socket', socket)
conf.set_override('external_pids', state + '/external/pids')
conf.set_override('root_helper', '', group='AGENT')
conf.set_override('lock_path', state + '/lock', group='oslo_concurrency')
# We are root already: privileged calls are made here, without a helper process.
privileged.default.set_client_mode(False)

if flavour == 'ml2':
    from neutron.agent.metadata import driver
    extra = {'bind_address_v6': 'fe80::a9fe:a9fe', 'bind_interface': sys.argv[6]} if len(sys.argv) > 6 else {}
else:
    from neutron.agent.ovn.metadata import driver
    extra = {}

monitor = external_process.ProcessMonitor(config=conf, resource_type='metadata')


def manager():
    return driver.MetadataDriver._get_metadata_proxy_process_manager(scope_id, conf, ns_name=namespace)


def run(command):
    if command == 'spawn':
        driver.MetadataDriver.spawn_monitored_metadata_proxy(
            monitor, namespace, 80, conf, bind_address='169.254.169.254', network_id=scope_id, **extra)
    elif command == 'check':
        monitor._check_child_processes()
    elif command == 'destroy':
        driver.MetadataDriver.destroy_monitored_metadata_proxy(monitor, scope_id, conf, namespace)


for line in sys.stdin:
    command = line.strip()
    if command == 'quit':
        break
    answer = {}
    try:
        run(command)
    except Exception as error:  # The test shows what Neutron would have logged.
        answer['error'] = '%s: %s' % (type(error).__name__, error)
    process = manager()
    answer.update(pid=process.pid, active=process.active, pid_file=process.get_pid_file_name())
    print(json.dumps(answer), flush=True)
