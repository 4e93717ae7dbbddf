#!/bin/sh
# The first start of a machine for an executor of sandboxes, an ECS-optimized Amazon Linux 2023. The
# CDK app and the Terraform module put in ${cluster} and ${number}.
set -eu
# shellcheck disable=SC2154  # see above
cat >>/etc/ecs/ecs.config <<END
ECS_CLUSTER=${cluster}
ECS_INSTANCE_ATTRIBUTES={"executor":"${number}"}
ECS_AWSVPC_BLOCK_IMDS=true
ECS_DISABLE_PRIVILEGED=true
END
# Docker's socket belongs to the group that the executor runs as, the 65532 of its image.
groupadd --gid 65532 executor
mkdir -p /etc/systemd/system/docker.socket.d
printf '[Socket]\nSocketGroup=executor\n' >/etc/systemd/system/docker.socket.d/executor.conf
systemctl daemon-reload
systemctl stop docker.service docker.socket
systemctl start docker.socket docker.service
