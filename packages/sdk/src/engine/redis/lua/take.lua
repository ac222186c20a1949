--- name:   take
--- caller: worker
--- keys:   shard…
--- args:   now; per shard: size, header limit timers ("1": also what is due), addresses to load again if active
--- reply:  per shard: "stale" | more next_due|"" then per run "address<TAB>record" or [that, inbox, journal]; last: now
--- include "now" "groups" "fence" "load"
--- Moves runs from ready to active (W1): an address is in at most one of the two, so nothing is taken twice.
local ENDED = byte("e")

local function take_due(shard, limit, fresh)
  local found = call("ZRANGEBYSCORE", shard .. "a", "(0", "+inf", "WITHSCORES", "LIMIT", 0, limit + 1)
  local due, next_due, more = {}, "", 0
  for n = 1, #found, 2 do
    if tonumber(found[n + 1]) > now() then
      next_due = found[n + 1]
      break
    elseif #due == limit then
      more = 1
    else
      due[#due + 1] = found[n]
      fresh[#fresh + 1] = found[n]
    end
  end
  if #due > 0 then call("ZREM", shard .. "a", unpack(due)) end
  return next_due, more
end

local replies = groups(function(shard, at, last)
  if not fence(shard, ARGV[at]) then
    --- use "refuse"
    return refuse(shard, "take", ARGV[at])
  end
  local limit = tonumber(ARGV[at + 1])
  local r, w, q = shard .. "r", shard .. "w", shard .. "q"
  local wanted = {}
  if last > at + 2 then
    local active = call("SMISMEMBER", w, unpack(ARGV, at + 3, last))
    for n = 1, #active do
      if active[n] == 1 then wanted[#wanted + 1] = ARGV[at + 2 + n] end
    end
  end

  -- Due runs first: a stream of ready ones must not keep them waiting.
  local fresh, more, next_due = {}, 0, ""
  if ARGV[at + 2] == "1" then next_due, more = take_due(shard, limit, fresh) end
  local room = limit - #fresh
  local popped = room > 0 and call("LPOP", q, room) or {}
  for n = 1, #popped do fresh[#fresh + 1] = popped[n] end
  if #popped == room and call("LLEN", q) > 0 then more = 1 end

  local reply = { more, next_due }
  local again = #wanted
  for n = 1, #fresh do wanted[again + n] = fresh[n] end
  if #wanted == 0 then return reply end

  local records = call("HMGET", r, unpack(wanted))
  local addresses, live, taken = {}, {}, {}
  for n = 1, #wanted do
    if records[n] and byte(records[n]) ~= ENDED then
      addresses[#addresses + 1] = wanted[n]
      live[#live + 1] = records[n]
      if n > again then taken[#taken + 1] = wanted[n] end
    end
  end
  if #taken > 0 then call("SADD", w, unpack(taken)) end
  if #addresses > 0 then load(shard, addresses, live, reply) end
  return reply
end)
replies[#replies + 1] = now()
return replies
