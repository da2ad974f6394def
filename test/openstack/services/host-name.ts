/** The name of the machine in Neutron, for agents, bindings and OVN's chassis. */
export const hostName = 'openstack-host'
