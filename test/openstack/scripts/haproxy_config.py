"""Writes the configuration of a namespace's haproxy with Neutron's own code and prints its path.

haproxy_config.py STATE-FOLDER PID-FILE AGENT-SOCKET router|network|ovn ID [INTERFACE]

The addresses are those that the L3 agent, the DHCP agent and the OVN metadata agent listen on.
"""
import sys

from oslo_config import cfg
from oslo_log import log

from neutron.agent.metadata import driver as ml2
from neutron.agent.ovn.metadata import driver as ovn

state, pid_file, socket, kind, scope_id = sys.argv[1:6]
log.register_options(cfg.CONF)
cfg.CONF([], project='neutron', default_config_files=[])
common = {'unix_socket_path': socket, 'user': 'root', 'group': 'root', 'state_path': state, 'pid_file': pid_file}
if kind == 'router':
    haproxy = ml2.HaproxyConfigurator(network_id=None, router_id=scope_id, host='::', port=9697, **common)
elif kind == 'network':
    haproxy = ml2.HaproxyConfigurator(
        network_id=scope_id, router_id=None, host='169.254.169.254', host_v6='fe80::a9fe:a9fe',
        bind_interface=sys.argv[6], port=80, **common)
else:
    haproxy = ovn.HaproxyConfigurator(network_id=scope_id, router_id=None, host='169.254.169.254', port=80, **common)
haproxy.create_config_file()
print(haproxy.cfg_path)
