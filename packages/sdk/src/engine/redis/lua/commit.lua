--- name:   commit
--- caller: worker
--- keys:   shard…
--- args:   now; per shard: size, header count, addresses, then per run: ident new_ident op consumed, and in this order
---         op 1 (phase) e: outcome_length outcome retention seen|"" (given: refuse the end when there is a later message)
---                      p: due ("": none, "+ms": from now, "ms": store time) on seen
---         op 2 b: body
---         op 3 k: (journal kept) journal_length count entries | c: (cleared) | -: nothing to do
---         op 4 w: count, then id answer
--- reply:  one text with a line for each shard: "." (stale) | "!message" | for each run its code ("r" "a" "p" "e": ok, and the phase;
---         "c": conflict; "u": unseen), with the number of its last message behind it, if it has one; last line: now
--- include "now" "groups" "parse" "run_of" "is_on" "digest" "since"
--- Every write of an owner. All checks of a group come before its first write; a failure after that is "poisoned" above (B1).
local ACTIVE, READY, PARKED, END = 97, 114, 112, 101
local BODY, KEEP, CLEAR, ANSWERS = 98, 107, 99, 119

-- Length alone would take another attempt's late write for one's own.
local function is_written(journal_key, length, entries, appended)
  local stored = call("LRANGE", journal_key, length, -1)
  for n = 1, appended do
    if stored[n] ~= ARGV[entries + n - 1] then return false end
  end
  return true
end

local replies = groups(function(shard, at, last)
  local count = tonumber(ARGV[at + 1])
  local first = at + 2
  local r, w = shard .. "r", shard .. "w"
  local records = call("HMGET", r, "", unpack(ARGV, first, first + count - 1))
  if records[1] ~= ARGV[at] then
    --- use "refuse"
    refuse(shard, "commit", ARGV[at])
    return "."
  end
  local active = call("SMISMEMBER", w, unpack(ARGV, first, first + count - 1))
  local laden = call("SMISMEMBER", shard .. "b", unpack(ARGV, first, first + count - 1))

  local reply, ended = {}, {}
  local set, agenda, leave, ready, drop, later, events = { "HSET", r }, { "ZADD", shard .. "a" }, { "SREM", w }, {}, { "DEL" }, {}, {}
  -- runs that get their first list, and that have lost their last; are there linked runs? Most shards have none
  local load, unload, linked = { "SADD", shard .. "b" }, { "SREM", shard .. "b" }, nil
  at = first + count
  for n = 1, count do
    local address = ARGV[first + n - 1]
    local ident, new_ident, op, consumed = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
    local phase, has_body, journal, has_answers = byte(op, 1, 4)
    at = at + 4
    -- arguments of this run
    local outcome_length, outcome, retention, due, on, seen, body, length, appended, entries, answered, ids
    if phase == END then
      outcome_length, outcome, retention, seen = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
      at = at + 4
    elseif phase == PARKED then
      due, on, seen = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
      at = at + 3
    end
    if has_body == BODY then
      body = ARGV[at]
      at = at + 1
    end
    if journal == KEEP then
      length, appended, entries = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), at + 2
      at = entries + appended
    end
    if has_answers == ANSWERS then
      answered, ids = tonumber(ARGV[at]), at + 1
      at = ids + 2 * answered
    end

    -- checks
    local is_laden = laden[n] == 1
    local inbox, journal_key
    if is_laden or (appended and appended > 0) then
      inbox, journal_key = shard .. "i:" .. address, shard .. "j:" .. address
    end
    local stored = records[n + 1]
    local code, newest = "c", 0
    if stored then
      local stored_phase, stored_ident, stored_consumed, _, _, control, body_at = parse(stored)
      local consumed_text = stored_consumed
      stored_consumed = tonumber(stored_consumed)
      local waiting = is_laden and call("LLEN", inbox) or 0
      newest = stored_consumed + waiting
      local appends_only = phase == ACTIVE and not body and journal ~= CLEAR
      local written = is_laden and journal == KEEP and call("LLEN", journal_key) or 0
      if stored_ident == new_ident and not appends_only then
        -- my own repetition (O3)
        code = active[n] == 1 and "a" or sub(stored_phase, 1, 1)
      elseif stored_ident ~= ident or active[n] == 0 or stored_phase == "e" then
        newest = 0
      elseif appends_only then
        if written == length then
          code = "a"
          if appended > 0 then
            later[#later + 1] = { "RPUSH", journal_key, unpack(ARGV, entries, entries + appended - 1) }
            if not is_laden then load[#load + 1] = address end
          end
        elseif written == length + appended and is_written(journal_key, length, entries, appended) then
          code = "a"
        else
          newest = 0
        end
      elseif journal == KEEP and written ~= length then
        newest = 0
      elseif phase == END and seen and newest > seen then
        code = "u"
      else
        -- the record is written
        local due_text, on_text = "", ""
        code = char(phase)
        if phase == PARKED and newest > seen then
          local unseen = call("LRANGE", inbox, math.max(seen - stored_consumed, 0), -1)
          for m = 1, #unseen do
            local kind, name = match(unseen[m], "^(%a)\t([^\t]*)")
            if is_on(on, kind, name) then
              code = "r"
              break
            end
          end
        end
        local letter = code
        if code == "a" then
          letter = "r"
        else
          leave[#leave + 1] = address
          if code == "r" then
            letter = letter .. since()
            ready[#ready + 1] = address
          elseif code == "p" then
            on_text = on
            if due ~= "" then
              local time = byte(due) == 43 and now() + sub(due, 2) or tonumber(due)
              due_text = format("%.0f", time)
              agenda[#agenda + 1] = due_text
              agenda[#agenda + 1] = address
            end
          else
            due_text = outcome_length
            agenda[#agenda + 1] = -(now() + retention)
            agenda[#agenda + 1] = address
            events[#events + 1] = "e\t" .. address .. "\t" .. run_of(ident)
            if control ~= "" then later[#later + 1] = control end
            if linked == nil then linked = call("EXISTS", shard .. "y") == 1 end
            if linked then ended[#ended + 1] = { address, run_of(ident), outcome } end
          end
        end
        set[#set + 1] = address
        set[#set + 1] = letter .. "\t" .. new_ident .. "\t" .. (consumed > stored_consumed and format("%.0f", consumed) or consumed_text) .. "\t" .. due_text .. "\t" .. on_text .. "\t" .. control
          .. "\t" .. (outcome or "") .. (body or sub(stored, body_at))
        if is_laden then
          if code == "e" then
            drop[#drop + 1] = inbox
            drop[#drop + 1] = journal_key
            unload[#unload + 1] = address
          else
            if consumed > stored_consumed then later[#later + 1] = { "LTRIM", inbox, consumed - stored_consumed, -1 } end
            if journal == CLEAR then
              drop[#drop + 1] = journal_key
              if newest <= math.max(consumed, stored_consumed) then unload[#unload + 1] = address end
            end
          end
        end
        if appended and appended > 0 and code ~= "e" then
          later[#later + 1] = { "RPUSH", journal_key, unpack(ARGV, entries, entries + appended - 1) }
          if not is_laden then load[#load + 1] = address end
        end
      end
      -- answers are kept as long as their request ids, so only while these are there (J4)
      if answered and code ~= "c" and code ~= "u" then
        for m = ids, ids + 2 * answered - 2, 2 do
          if call("ZSCORE", shard .. "d", ARGV[m]) then later[#later + 1] = { "HSET", shard .. "o", ARGV[m], ARGV[m + 1] } end
          events[#events + 1] = "a\t" .. ARGV[m]
        end
      end
      newest = math.max(newest, code == "c" and 0 or consumed)
    end
    reply[n] = newest > 0 and code .. format("%.0f", newest) or code
  end

  -- writes
  if #set > 2 then call(unpack(set)) end
  if #agenda > 2 then call(unpack(agenda)) end
  if #leave > 2 then call(unpack(leave)) end
  if #ready > 0 then call("RPUSH", shard .. "q", unpack(ready)) end
  if #drop > 1 then call(unpack(drop)) end
  if #load > 2 then call(unpack(load)) end
  if #unload > 2 then call(unpack(unload)) end
  for n = 1, #later do
    if type(later[n]) == "table" then call(unpack(later[n])) else digest(shard, later[n], "-") end
  end
  if #ended > 0 then
    --- use "release_links"
    for n = 1, #ended do release_links(shard, ended[n][1], ended[n][2], ended[n][3]) end
  end
  if #events > 0 then call("SPUBLISH", shard .. "event", table.concat(events, "\n")) end
  return table.concat(reply)
end)
replies[#replies + 1] = format("%.0f", now())
for g = 1, #replies do
  if byte(replies[g]) == 33 then replies[g] = gsub(replies[g], "\n", " ") end
end
return table.concat(replies, "\n")
