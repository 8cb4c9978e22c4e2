"""What Redis does in one step, so that no other comes in between: scripts in its own language, for EVAL."""

from __future__ import annotations

ADD_RECORD = (
    "if redis.call('type', KEYS[1]).ok ~= 'zset' then redis.call('del', KEYS[1]) end "
    "if not redis.call('zscore', KEYS[1], ARGV[2]) then redis.call('zadd', KEYS[1], ARGV[1], ARGV[2]) end "
    "redis.call('zremrangebyrank', KEYS[1], 0, -1 - ARGV[3])"
)
TAKE_LEASE = (
    "local left = redis.call('pttl', KEYS[1]) "
    "if left == -2 or left == -1 or left > 600000 then redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1 end "
    "return 0"
)
_IF_OWN = (
    "if redis.call('type', KEYS[1]).ok == 'string' and redis.call('get', KEYS[1]) == ARGV[1] then return {} end "
    "return 0"
)
RENEW_LEASE = _IF_OWN.format("redis.call('pexpire', KEYS[1], ARGV[2])")
FREE_LEASE = _IF_OWN.format("redis.call('del', KEYS[1])")
