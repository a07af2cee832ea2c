"""Deployment files as people and Prefect 2 write them, for tests."""

#: Every part that has a closed set of names, at every depth.
FULL = """\
###
### A deployment
###
name: full
description: Says hello.
version: 36c175ede2c64ae6393e70ee58ca24da
work_queue_name: default
work_pool_name: null
tags: [a]
parameters:
  name: x
  times: 2
schedule:
  cron: 0 9 * * *
  timezone: Europe/Berlin
  day_or: true
schedules:
- active: true
  schedule:
    interval: 3600
    anchor_date: '2026-01-01T00:00:00+00:00'
    timezone: UTC
  max_active_runs: null
- schedule:
    rrule: FREQ=DAILY
    timezone: UTC
is_schedule_active: null
concurrency_limit: 3
infra_overrides:
  env.EXTRA_PIP_PACKAGES: s3fs
  image_pull_policy: NEVER
  auto_remove: true
  image_registry:
    username: w
  privileged: false
infrastructure:
  type: docker-container
  env: {}
  labels: {}
  name: null
  command: null
  image: registry.example.com/flows:1
  image_pull_policy: null
  image_registry:
    username: u
    password: ${env:REGISTRY_PASSWORD}
    registry_url: https://registry.example.com
    reauth: true
    block_type_slug: docker-registry
  networks: []
  network_mode: null
  auto_remove: false
  volumes: []
  stream_output: true
  memswap_limit: null
  mem_limit: null
  privileged: false
  block_type_slug: docker-container
  _block_type_slug: docker-container

###
### DO NOT EDIT BELOW THIS LINE
###
flow_name: hello-flow
manifest_path: null
storage:
  bucket_path: bucket/flows
  aws_access_key_id: ${env:KEY_ID}
  aws_secret_access_key: ${env:KEY}
  block_type_slug: s3
  _block_type_slug: s3
path: sub/folder
entrypoint: hello.py:hello
parameter_openapi_schema:
  title: Parameters
  type: object
  properties:
    name: {default: world, position: 0, title: name, type: string}
    times: {default: 1, position: 1, title: times, type: integer}
  required: null
  definitions: null
timestamp: '2026-11-22T12:56:11.291156+00:00'
triggers: []
enforce_parameter_schema: null
"""

#: An upper part in somebody's own words.
BY_HAND = """\
###
### The deployment greet/nightly
###
# whose it is: the data team
name: nightly   # as in the contract
description: Ours.
version: 7

tags: ["a", 'b']   # two
parameters:
    # who is greeted
    name: "you"
work_queue_name: q
schedule: {cron: "0 9 * * *"}
infra_overrides:
  env.LEVEL: debug
# variables of ours
infrastructure:
  type: process
  env:
    B: 2   # a number
    A: "1"

  stream_output: true

# end of ours
###
### DO NOT EDIT BELOW THIS LINE: `penstock deployment build` writes it anew
###
flow_name: greet
entrypoint: greet.py:greet
path: /nowhere
"""
