"""Records instances in Nova's database through Nova's own objects: nova_instances.py NOVA.CONF INSTANCES.JSON HOST

Nothing boots. What the metadata API reads is there: flavor, key pair, user
data, metadata, the cached network information and the mapping to the cell.
"""
import base64
import json
import sys

from oslo_utils import timeutils

from nova import config, context, exception, objects
from nova.network import model

conf_file, list_file, host = sys.argv[1:]
config.parse_args(['nova-instances', '--config-file', conf_file])
objects.register_all()
admin = context.get_admin_context()


def only_cell():
    for cell in objects.CellMappingList.get_all(admin):
        if cell.uuid != objects.CellMapping.CELL0_UUID:
            return cell
    raise SystemExit('Nova has no cell')


def small_flavor():
    try:
        return objects.Flavor.get_by_flavor_id(admin, 'small')
    except exception.FlavorNotFound:
        flavor = objects.Flavor(
            admin, flavorid='small', name='m1.small', vcpus=1, memory_mb=512, root_gb=1, ephemeral_gb=0, swap=0,
            rxtx_factor=1.0, is_public=True, disabled=False, extra_specs={})
        flavor.create()
        return flavor


def key_of(user):
    try:
        return objects.KeyPair.get_by_name(admin, user, 'key')
    except exception.KeypairNotFound:
        key = objects.KeyPair(
            admin, user_id=user, name='key', type='ssh', public_key='ssh-ed25519 AAAA%s %s' % (user[-32:], user),
            fingerprint='00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff')
        key.create()
        return key


def subnet(version, cidr, address, gateway):
    return model.Subnet(
        version=version, cidr=cidr, routes=[], ips=[model.FixedIP(address=address, version=version)],
        dns=[model.IP('192.0.2.53', version=4)] if version == 4 else [],
        gateway=model.IP(gateway, type='gateway', version=version) if gateway else None)


def network_info(project, port):
    gateways = ('10.0.0.1', 'fd00::1') if port['hasGateway'] else (None, None)
    network = model.Network(
        id=port['networkId'], bridge='br-int', label=port['networkName'], tenant_id=project, mtu=1450, injected=False,
        subnets=[subnet(4, '10.0.0.0/24', port['ip'], gateways[0]), subnet(6, 'fd00::/64', port['ip6'], gateways[1])])
    return model.NetworkInfo([model.VIF(
        id=port['id'], address=port['mac'], network=network, type=model.VIF_TYPE_OVS, vnic_type='normal', active=True,
        devname='tap' + port['id'][:11], ovs_interfaceid=port['id'], details={'port_filter': True})])


cell = only_cell()
flavor = small_flavor()
with context.target_cell(admin, cell) as inside:
    for one in json.load(open(list_file)):
        user = 'user-of-' + one['projectId']
        key = key_of(user)
        instance = objects.Instance(
            inside, uuid=one['id'], project_id=one['projectId'], user_id=user, hostname=one['name'],
            display_name=one['name'], display_description='', image_ref='155d900f-4e14-4e4c-a73d-069cbf4541e6',
            kernel_id='', ramdisk_id='', launch_index=0, reservation_id='r-' + one['id'][:8], key_name=key.name,
            key_data=key.public_key, user_data=base64.b64encode(one['userData'].encode()).decode(),
            availability_zone='nova', host=host, node=host, launched_on=host, vm_state='active', task_state=None,
            power_state=1, progress=0, locked=False, root_device_name='/dev/vda', config_drive='',
            architecture='x86_64', launched_at=timeutils.utcnow(), instance_type_id=flavor.id,
            memory_mb=flavor.memory_mb, vcpus=flavor.vcpus, root_gb=flavor.root_gb, ephemeral_gb=0,
            metadata={'port': one['port']['id']}, system_metadata={'image_min_disk': '1'})
        instance.flavor = flavor
        instance.old_flavor = instance.new_flavor = None
        instance.keypairs = objects.KeyPairList(objects=[key])
        instance.info_cache = objects.InstanceInfoCache(
            inside, instance_uuid=one['id'], network_info=network_info(one['projectId'], one['port']))
        instance.create()
        objects.InstanceMapping(
            admin, instance_uuid=one['id'], project_id=one['projectId'], user_id=user, cell_mapping=cell,
            queued_for_delete=False).create()
