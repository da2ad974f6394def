/** One router, one guest and a stand-in for compute, inside a machine. */

const router = '9f5e6a6a-58a8-4a57-b6a9-c0f6e56f0fd1'
const network = '5a21ee00-29b1-4b2b-b3a9-0a6a5e1ce5d9'
/** The guest's instance. */
export const instance = '4ee3a778-6802-46ca-bf0d-358565af4db6'
/** The namespace in which Neutron would have the router. */
export const routerNetns = `qrouter-${router}`
const routerLink = 'qr-4d2a7c11-9e'

/** What both the static port directory and the stand-in for compute read. */
export const portsFile = `networks:
  - { id: ${network}, project: 501ab64372c94b5b97b2df184f99884a, subnets: [10.0.0.0/24] }
routers:
  - { id: ${router} }
ports:
  - id: 4d2a7c11-9e0b-4c55-8f6d-0b1f6a7c2d31
    network: ${network}
    mac: fa:16:3e:00:00:01
    router: ${router}
instances:
  - id: ${instance}
    name: web-1
    project: 501ab64372c94b5b97b2df184f99884a
    ports:
      - { network: ${network}, mac: 'fa:16:3e:64:92:e6', fixed_ips: [10.0.0.10] }
`

/** What an operator types into /etc/overlapd/agent.yaml. */
export const fourLines = `ports: { kind: static, static: { file: /etc/overlapd/ports.yaml } }
compute:
  upstreams: ['http://127.0.0.1:8775']
  shared_secret_file: /etc/overlapd/shared-secret
`

/** Commands that make the router and the guest. */
export const networkCommands = [
  `ip netns add ${routerNetns}`,
  'ip netns add guest',
  `ip -n ${routerNetns} link set lo up`,
  `ip link add ${routerLink} netns ${routerNetns} type veth peer name eth0 netns guest`,
  `ip -n ${routerNetns} link set ${routerLink} address fa:16:3e:00:00:01 up`,
  'ip -n guest link set eth0 address fa:16:3e:64:92:e6 up',
  `ip -n ${routerNetns} addr add 10.0.0.1/24 dev ${routerLink}`,
  'ip -n guest addr add 10.0.0.10/24 dev eth0',
  'ip -n guest route add default via 10.0.0.1',
].join(' && ')
