-- One call of a process: what it tells, then what it asks, in this order. See script.py.
-- The arithmetic is that of gcra.py; its numbers stay whole in a double up to 2^53.
-- KEYS: the buckets, then the slots. ARGV[1]: {holder, lapse, buckets, changes, held, takes},
--   buckets {limit, window} each, changes {bucket, change} each, held one count per slot,
--   takes {{bucket, amount}..., }, {{slot, limit}...} each; indexes begin with 1, times are us.
-- Answer: per take {denied (0: no), wait, level of each bucket after it}.

local input = cmsgpack.unpack(ARGV[1])
local holder, lapse, buckets, changes, held, takes =
  input[1], input[2], input[3], input[4], input[5], input[6]
local DEBT, HIGHEST, SLOT_WAIT = 86400000000, 2 ^ 62, 1000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local levels, moved = {}, {}
for b, rate in ipairs(buckets) do
  local level, at = 0, now
  local stored = redis.call('GET', KEYS[b])
  if stored then
    level, at = string.match(stored, '^(%d+) (%d+)$')
    level, at = tonumber(level) or 0, tonumber(at) or now
  end
  levels[b] = math.max(0, level - math.max(0, now - at) * rate[1])
  if at > now then
    moved[b] = true -- the clock stepped back; even a refusal has to begin anew from here
  end
end

local function move(b, change)
  local limit, window = buckets[b][1], buckets[b][2]
  local level = levels[b] + change * window
  if level <= 0 or limit < 1 then
    level = 0
  elseif change > 0 and level > math.min(limit * window, HIGHEST) then
    level = math.min(level, limit * (window + DEBT), HIGHEST)
  end
  levels[b], moved[b] = level, true
end

local others = {}
for s = 1, #held do
  local sum, key = 0, KEYS[#buckets + s]
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local count, expires = string.match(fields[i + 1], '^(%d+):(%d+)$')
    if not expires or tonumber(expires) <= now then
      redis.call('HDEL', key, fields[i])
    elseif fields[i] ~= holder then
      sum = sum + tonumber(count)
    end
  end
  others[s] = sum
end

for _, change in ipairs(changes) do
  move(change[1], change[2])
end

local answers = {}
for t, take in ipairs(takes) do
  local denied, longest = 0, 0
  for i, part in ipairs(take[1]) do
    local b, amount = part[1], part[2]
    local limit, window = buckets[b][1], buckets[b][2]
    local wait = window
    if limit >= 1 then
      wait = math.ceil((levels[b] + (amount - limit) * window) / limit)
    end
    if wait > longest then
      denied, longest = i, wait
    end
  end
  for i, part in ipairs(take[2]) do
    if others[part[1]] + held[part[1]] >= part[2] and longest < SLOT_WAIT then
      denied, longest = #take[1] + i, SLOT_WAIT
    end
  end
  local answer = { denied, longest }
  for i, part in ipairs(take[1]) do
    if denied == 0 then
      move(part[1], part[2])
    end
    answer[2 + i] = levels[part[1]]
  end
  if denied == 0 then
    for _, part in ipairs(take[2]) do
      held[part[1]] = held[part[1]] + 1
    end
  end
  answers[t] = answer
end

for b in pairs(moved) do
  if levels[b] == 0 then
    redis.call('DEL', KEYS[b])
  else
    local seconds = math.ceil(levels[b] / math.max(1, buckets[b][1]) / 1000000) + 1
    redis.call('SET', KEYS[b], string.format('%.0f %.0f', levels[b], now), 'EX', seconds)
  end
end
for s, count in ipairs(held) do
  local key = KEYS[#buckets + s]
  if count == 0 then
    redis.call('HDEL', key, holder)
  else
    redis.call('HSET', key, holder, string.format('%.0f:%.0f', count, now + lapse))
    redis.call('PEXPIRE', key, math.ceil(lapse / 1000))
  end
end
return cmsgpack.pack(answers)
