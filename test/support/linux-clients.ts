/** What do metadata clients of guests with Linux send? */
import {
  bareIpv6Host as bare,
  goHttp,
  head,
  pythonRequests,
  zonedIpv6Host as zoned,
  type RecordedClient,
} from './client-requests.ts'

const tokenTarget = 'PUT /latest/api/token'
const instanceId = 'GET /latest/meta-data/instance-id'
const cloudInit = 'Cloud-Init/22.4.2'
const requests = 'python-requests/2.28.1'
const token = 'X-aws-ec2-metadata-token: {token}'
const life = (seconds: number): string => `X-aws-ec2-metadata-token-ttl-seconds: ${seconds}`
const boto = 'Boto3/1.26.27 Python/3.11.2 Linux/6.1.0 Botocore/1.29.27'
const java = 'aws-sdk-java/2.20.0 Linux/6.1 OpenJDK_64-Bit_Server_VM/17.0.15'
const goSdk = 'aws-sdk-go/1.44.122 (go1.19.8; linux; amd64)'
const goSdk2 = 'aws-sdk-go-v2/1.17.1 os/linux lang/go/1.19.8 md/GOOS/linux md/GOARCH/amd64 ec2imds'
const ruby = [
  'Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3',
  'Accept: */*',
  'User-Agent: Ruby',
  'Connection: close',
  'Host: {host}',
] as const

/** Of guests with Linux, which send with a hop limit of 64. */
export const linuxClients: readonly RecordedClient[] = [
  {
    family: 'cloud-init, source OpenStack',
    source: 'recorded: cloud-init 22.4.2',
    ipv6Host: zoned,
    requests: [
      'GET /openstack',
      'GET /openstack/latest/meta_data.json',
      'GET /openstack/latest/user_data',
      'GET /openstack/latest/vendor_data.json',
    ].map((target) => pythonRequests(cloudInit, target)),
  },
  {
    family: 'cloud-init, source Ec2',
    source: 'recorded: cloud-init 22.4.2, on what it takes for AWS',
    requests: [
      pythonRequests(cloudInit, tokenTarget, life(21_600), 'Content-Length: 0'),
      pythonRequests(cloudInit, 'GET /2021-03-23/meta-data/instance-id', token),
      pythonRequests(requests, 'GET /2021-03-23/user-data', token),
      pythonRequests(requests, 'GET /latest/meta-data/', token),
    ],
  },
  {
    family: 'os-collect-config of Heat',
    source:
      'openstack/os-collect-config, os_collect_config/ec2.py; bytes of python-requests 2.28.1',
    keepsConnection: true,
    requests: ['GET /latest/meta-data/', instanceId].map((target) =>
      pythonRequests(requests, target),
    ),
  },
  {
    family: 'Ignition',
    source: 'recorded: ignition 2.14.0',
    ipv6Host: bare,
    requests: [
      head(
        'GET /openstack/latest/user_data HTTP/1.1',
        'Host: {host}',
        'User-Agent: Ignition/Debian 2.14.0+ds1-1+b6',
        'Accept: application/vnd.coreos.ignition+json;version=3.3.0, */*;q=0.1',
        'Accept-Encoding: identity',
      ),
    ],
  },
  {
    family: 'Afterburn',
    source: 'coreos/afterburn, src/retry/client.rs and src/providers/openstack/network.rs',
    keepsConnection: true,
    requests: ['hostname', 'instance-id', 'local-ipv4', 'public-keys'].map((name) =>
      head(
        `GET /latest/meta-data/${name} HTTP/1.1`,
        'content-type: text/plain; charset=utf-8',
        'accept: */*',
        'host: {host}',
      ),
    ),
  },
  {
    family: 'kubernetes, cloud-provider-openstack',
    source: 'kubernetes/cloud-provider-openstack, pkg/util/metadata/metadata.go',
    requests: [goHttp('GET /openstack/latest/meta_data.json')],
  },
  {
    family: 'go-discover of Consul, by the AWS SDK for Go 2',
    source: 'hashicorp/go-discover, provider/aws; aws/aws-sdk-go-v2, feature/ec2/imds',
    keepsConnection: true,
    requests: [
      goHttp(
        tokenTarget,
        goSdk2,
        'Content-Length: 0',
        'Amz-Sdk-Request: attempt=1; max=3',
        'X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 300',
      ),
      goHttp(
        instanceId,
        goSdk2,
        'Amz-Sdk-Request: attempt=1; max=3',
        'X-Aws-Ec2-Metadata-Token: {token}',
      ),
    ],
  },
  {
    family: 'AWS SDK for Go 1',
    source: 'aws/aws-sdk-go, aws/ec2metadata',
    keepsConnection: true,
    requests: [
      goHttp(
        tokenTarget,
        goSdk,
        'Content-Length: 0',
        'X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600',
      ),
      goHttp(instanceId, goSdk, 'X-Aws-Ec2-Metadata-Token: {token}'),
    ],
  },
  {
    family: 'AWS SDK for JavaScript',
    source: 'recorded: @aws-sdk/ec2-metadata-service 3',
    keepsConnection: true,
    requests: [
      head(
        `${tokenTarget} HTTP/1.1`,
        'x-aws-ec2-metadata-token-ttl-seconds: 21600',
        'Host: {host}',
        'Connection: keep-alive',
        'Content-Length: 0',
      ),
      head(
        'GET //latest/meta-data/instance-id HTTP/1.1',
        'x-aws-ec2-metadata-token: {token}',
        'Host: {host}',
        'Connection: keep-alive',
      ),
    ],
  },
  {
    family: 'AWS SDK for Java 2',
    source:
      'aws/aws-sdk-java-v2, regions/internal/util/ConnectionUtils.java; bytes of OpenJDK 17, whose PUT has no length',
    keepsConnection: true,
    requests: [
      [tokenTarget, 'x-aws-ec2-metadata-token-ttl-seconds: 21600'],
      [instanceId, 'x-aws-ec2-metadata-token: {token}'],
    ].map(([target, field]) =>
      head(
        `${target} HTTP/1.1`,
        'Accept: */*',
        `User-Agent: ${java}`,
        String(field),
        'Host: {host}',
        'Connection: keep-alive',
      ),
    ),
  },
  {
    family: 'boto3 and the AWS command line',
    source: 'recorded: botocore 1',
    keepsConnection: true,
    requests: [
      head(
        `${tokenTarget} HTTP/1.1`,
        'Host: {host}',
        'Accept-Encoding: identity',
        'x-aws-ec2-metadata-token-ttl-seconds: 21600',
        `User-Agent: ${boto}`,
        'Content-Length: 0',
      ),
      ...['GET /latest/meta-data/iam/security-credentials/', instanceId].map((target) =>
        head(
          `${target} HTTP/1.1`,
          'Host: {host}',
          'Accept-Encoding: identity',
          'x-aws-ec2-metadata-token: {token}',
          `User-Agent: ${boto}`,
        ),
      ),
    ],
  },
  {
    family: 'curl',
    source: 'recorded: curl 7.88.1',
    ipv6Host: bare,
    keepsConnection: true,
    requests: [instanceId, 'GET /openstack/latest/user_data'].map((target) =>
      head(`${target} HTTP/1.1`, 'Host: {host}', 'User-Agent: curl/7.88.1', 'Accept: */*'),
    ),
  },
  {
    family: 'ec2-metadata',
    source: 'recorded: amazon-ec2-utils 2.0.1, by curl 7.88.1',
    requests: [
      [tokenTarget, life(900)],
      // Without a space, as its script has it.
      [instanceId, 'X-aws-ec2-metadata-token:{token}'],
    ].map(([target, field]) =>
      head(
        `${target} HTTP/1.1`,
        'Host: {host}',
        'User-Agent: curl/7.88.1',
        'Accept: */*',
        String(field),
      ),
    ),
  },
  {
    family: 'ec2metadata',
    source: 'recorded: cloud-guest-utils 0.33, by urllib of Python 3.11',
    requests: [
      head(
        `${tokenTarget} HTTP/1.1`,
        'Accept-Encoding: identity',
        'Content-Length: 0',
        'Host: {host}',
        'User-Agent: Python-urllib/3.11',
        'X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600',
        'Connection: close',
      ),
      head(
        'GET /2009-04-04/meta-data/instance-id HTTP/1.1',
        'Accept-Encoding: identity',
        'Host: {host}',
        'User-Agent: Python-urllib/3.11',
        'X-Aws-Ec2-Metadata-Token: {token}',
        'Connection: close',
      ),
    ],
  },
  {
    family: 'wget',
    source: 'recorded: wget 1.21.3',
    keepsConnection: true,
    requests: ['GET /latest/meta-data/', 'GET /latest/user-data'].map((target) =>
      head(
        `${target} HTTP/1.1`,
        'Host: {host}',
        'User-Agent: Wget/1.21.3',
        'Accept: */*',
        'Accept-Encoding: identity',
        'Connection: Keep-Alive',
      ),
    ),
  },
  {
    family: 'wget of BusyBox',
    source: 'recorded: busybox 1.35.0',
    ipv6Host: bare,
    requests: [
      head(
        'GET /latest/user-data HTTP/1.1',
        'Host: {host}',
        'User-Agent: Wget',
        'Connection: close',
      ),
    ],
  },
  {
    family: 'urllib of Python',
    source: 'recorded: Python 3.11',
    ipv6Host: zoned,
    requests: [
      head(
        'GET /openstack/latest/user_data HTTP/1.1',
        'Accept-Encoding: identity',
        'Host: {host}',
        'User-Agent: Python-urllib/3.11',
        'Connection: close',
      ),
    ],
  },
  {
    family: 'facts of Ansible, ec2_metadata_facts',
    source: 'recorded: ansible-core 2.14.18, module_utils/urls.py',
    requests: ['GET /latest/meta-data/', 'GET /latest/user-data/'].map((target) =>
      head(
        `${target} HTTP/1.1`,
        'Accept-Encoding: identity',
        'Host: {host}',
        'User-Agent: ansible-httpget',
        'Connection: close',
      ),
    ),
  },
  {
    family: 'facter of Puppet',
    source: 'puppetlabs/facter, lib/facter/resolvers/ec2.rb; bytes of net/http of Ruby 3.1',
    requests: ['GET /latest/meta-data/', 'GET /latest/user-data/'].map((target) =>
      head(`${target} HTTP/1.1`, ...ruby),
    ),
  },
  {
    family: 'nm-cloud-setup of NetworkManager',
    source:
      'NetworkManager/NetworkManager, src/nm-cloud-setup/nm-http-client.c and nmcs-provider-ec2.c',
    keepsConnection: true,
    requests: ['GET /latest/meta-data/', 'GET /2018-09-24/meta-data/network/interfaces/macs/'].map(
      (target) => head(`${target} HTTP/1.1`, 'Host: {host}', 'Accept: */*'),
    ),
  },
  {
    family: 'a shell without a program for HTTP',
    source: '/dev/tcp of bash, in HTTP/1.0 without Host',
    ipv6Host: bare,
    requests: [head(`${instanceId} HTTP/1.0`)],
  },
]
