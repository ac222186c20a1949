--- name:   start
--- caller: client
--- keys:   shard…
--- args:   now; per shard: size, then per run: address, mode .. record (which begins with a tab, behind its phase), and by the mode's letters
---         d: after tail  (record = "p" .. record .. due .. tail; else "r" .. since .. record)
---         c: controller fence control
---         q: retention   (the run id is remembered)
---         m: name id payload limit retention send ("1": also to another live run)
---         x: nothing     (refuse when an ended run is retained)
--- reply:  1 (all were started) | per shard: 1 (all of its own) | per run: 1 (started) | "s" (started before) | "r" .. run (running) | "e" .. run (ended) | "f" (fenced) | "n" (forbidden); with m: [that, status of the signal]
--- include "now" "groups" "parse" "run_of" "superseded" "digest" "push_ready" "hint_ready" "since"
--- Creates runs. A known address with the same run id is a repetition and answers as the first time (B4).
local HSETNX, DELAYED, TAB = "HSETNX", 100, 9

local function is_earliest(shard, delayed)
  local first = call("ZRANGEBYSCORE", shard .. "a", "(0", "+inf", "LIMIT", 0, 1)[1]
  return delayed[first] ~= nil
end

local function run_in(record)
  return match(record, "^%a%d*\t([^\t]*)")
end

local replies = groups(function(shard, at, last)
  local r, now_ready = shard .. "r", "r" .. since()
  local ready, delayed = {}, nil
  -- of its runs; none as long as all were started
  local count, replies = 0, nil
  while at <= last do
    local address, record, mode = ARGV[at], ARGV[at + 1], nil
    at = at + 2
    if byte(record) ~= TAB then mode, record = match(record, "^(%a+)(.*)") end
    local due, control, refused, known, remember, signal
    if mode == nil or byte(mode) ~= DELAYED then record = now_ready .. record end
    if mode then
      if byte(mode) == DELAYED then
        due = now() + ARGV[at]
        record = "p" .. record .. format("%.0f", due) .. ARGV[at + 1]
        at = at + 2
      end
      if find(mode, "c", 1, true) then
        refused = superseded(shard, ARGV[at], ARGV[at + 1])
        control = ARGV[at + 2]
        at = at + 3
      end
      if find(mode, "q", 1, true) then
        remember, at = tonumber(ARGV[at]), at + 1
        known = call("ZSCORE", shard .. "d", run_in(record))
      end
      if find(mode, "m", 1, true) then
        signal, at = at, at + 6
      end
    end
    local reply
    if refused then
      reply = "f"
    elseif known then
      reply = call("HGET", shard .. "o", run_in(record)) == "forbidden" and "n" or "s"
    elseif call(HSETNX, r, address, record) == 1 then
      reply = 1
    else
      local stored = call("HGET", r, address)
      local phase, ident = parse(stored)
      local run = run_of(ident)
      if run == run_in(record) then
        reply = "s"
      elseif phase ~= "e" then
        reply = "r" .. run
      elseif mode and find(mode, "x", 1, true) then
        reply = "e" .. run
      else
        call("HSET", r, address, record)
        call("ZREM", shard .. "a", address)
        reply = 1
      end
    end
    if reply == 1 then
      if remember then call("ZADD", shard .. "d", now() + remember, run_in(record)) end
      if control then digest(shard, control, "") end
      if due then
        call("ZADD", shard .. "a", due, address)
        delayed = delayed or {}
        delayed[address] = true
      else
        ready[#ready + 1] = address
      end
    end
    if signal then
      --- use "first_signal"
      reply = { reply, first_signal(shard, address, reply, run_in(record), signal) }
    end
    count = count + 1
    if reply ~= 1 and not replies then
      replies = {}
      for n = 1, count - 1 do replies[n] = 1 end
    end
    if replies then replies[count] = reply end
  end
  if #ready > 0 then push_ready(shard, ready) end
  if delayed and is_earliest(shard, delayed) then hint_ready(shard) end
  return replies or 1
end)
for g = 1, #replies do
  if replies[g] ~= 1 then return replies end
end
return 1
