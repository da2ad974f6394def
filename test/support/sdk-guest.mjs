// A guest's client of EC2 metadata as AWS gives it out, with version 1 disabled: prints what it gets for each path.
import { MetadataService } from '@aws-sdk/ec2-metadata-service'

const service = new MetadataService({
  endpoint: 'http://169.254.169.254',
  ec2MetadataV1Disabled: true,
  retries: 0,
  httpOptions: { timeout: 5_000 },
})
for (const path of process.argv.slice(2)) process.stdout.write(await service.request(path, {}))
