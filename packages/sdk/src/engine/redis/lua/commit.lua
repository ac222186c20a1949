--- name:   commit
--- caller: worker
--- keys:   shard…
--- args:   now; per shard: size, header count, addresses, then per run: ident op, and by op
---         "+" .. journal_length (mere append): entry | "*" (the same of several, or none): journal_length count entries, then count, id answer
---         else new_ident, and in this order
---         op 1 (phase) e: outcome retention | p: due ("": none, "+ms": from now, "ms": store time) on
---         op 2 n: consumed seen|"" (given: refuse an end when there is a later message) | -: both are 0
---         op 3 b: body
---         op 4 k: (journal kept) journal_length count entries | c: (cleared) | -: nothing to do
---         op 5 w: count, then id answer
---         op 6 l: length of the outcome in UTF-16 units | -: it is that in bytes
--- reply:  one text with a line for each shard: "." (stale) | "!message" | for each run its code ("r" "a" "p" "e": ok, and the phase;
---         "c": conflict; "u": unseen), with the number of its last message behind it, if it has one and appended no entry only; last line: now
--- include "now" "groups" "parse" "run_of" "is_on" "digest" "since"
--- Every write of an owner. All checks of a group come before its first write, that of a mere append excepted; a failure after that is "poisoned"
--- above (B1).
local PARKED, END, TAB, ZERO = 112, 101, 9, 48
local ONE, MANY, NUMBERS, BODY, KEEP, CLEAR, ANSWERS, LENGTH = 43, 42, 110, 98, 107, 99, 119, 108

-- A record is looked at where it lies: a piece of it that is made a text costs as much as a short command. Gives
-- where its run and revision end, if they are these and it has not ended.
local function found(stored, ident)
  local tab = find(stored, "\t", 1, true)
  local from, to = find(stored, ident, tab + 1, true)
  if from == tab + 1 and byte(stored, to + 1) == TAB and byte(stored) ~= END then return to end
end

-- Is there nothing between them and the body: no message consumed, no time, names or controller?
local function is_bare(stored, to)
  local consumed, b, due, on, control = byte(stored, to + 2, to + 6)
  return consumed == ZERO and b == TAB and due == TAB and on == TAB and control == TAB
end

-- Appends to the journal; false when it is not as long as its owner thinks. A repetition finds its own entries at the end: length alone would
-- take another attempt's late write for one's own.
local function append(journal_key, length, entries, appended)
  local made = appended == 0 and call("LLEN", journal_key)
    or appended == 1 and call("RPUSH", journal_key, ARGV[entries])
    or call("RPUSH", journal_key, unpack(ARGV, entries, entries + appended - 1))
  if made == length + appended then return true end
  if appended == 0 then return false end
  call("LTRIM", journal_key, 0, -1 - appended)
  if made ~= length + 2 * appended then return false end
  local stored = call("LRANGE", journal_key, length, -1)
  for n = 1, appended do
    if stored[n] ~= ARGV[entries + n - 1] then return false end
  end
  return true
end

-- Are these addresses in the set? 1 or 0 for each.
local function members(set, first, count)
  if count == 1 then return { call("SISMEMBER", set, ARGV[first]) } end
  return call("SMISMEMBER", set, unpack(ARGV, first, first + count - 1))
end

-- Score of an ended run on the agenda, by its retention: the same for most.
local scores = {}
local function forgotten(retention)
  local score = scores[retention]
  if not score then
    score = format("%.0f", -(now() + retention))
    scores[retention] = score
  end
  return score
end

-- Lists of a group's writes, used again by the next group: making them is a tenth of what a short commit costs. Each is as long as its count.
local set, agenda, leave, ready, drop, load, unload = { "HSET" }, { "ZADD" }, { "SREM" }, { "RPUSH" }, { "DEL" }, { "SADD" }, { "SREM" }

-- A command with the shard's key and a list; nothing where the list is empty.
local function write(list, count, shard, key)
  if count == 2 then return end
  list[2] = shard .. key
  call(unpack(list, 1, count))
end

local replies = groups(function(shard, at, last)
  local count = tonumber(ARGV[at + 1])
  local first = at + 2
  local r, w, b = shard .. "r", shard .. "w", shard .. "b"
  local records = call("HMGET", r, "", unpack(ARGV, first, first + count - 1))
  if records[1] ~= ARGV[at] then
    --- use "refuse"
    refuse(shard, "commit", ARGV[at])
    return "."
  end

  local active, laden = members(w, first, count), nil
  local reply, later, events, ended = {}, nil, nil, nil
  local sets, dues, leaves, readies, drops, loads, unloads = 2, 2, 2, 2, 1, 2, 2
  -- are there linked runs? Most shards have none
  local linked
  at = first + count
  for n = 1, count do
    local address = ARGV[first + n - 1]
    local stored, code, newest, consumed = records[n + 1], "c", 0, 0
    local ident, op = ARGV[at], ARGV[at + 1]
    local phase, numbers, has_body, journal, has_answers, has_length = byte(op, 1, 6)
    -- arguments of this run
    local new_ident, seen, outcome, outcome_length, retention, due, on, body, length, appended, entries, answered, ids
    at = at + 2
    if phase == ONE then
      length, appended, entries = tonumber(sub(op, 2)), 1, at
      at = at + 1
    elseif phase == MANY then
      length, appended, entries = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), at + 2
      ids = entries + appended + 1
      answered = tonumber(ARGV[ids - 1])
      at = ids + 2 * answered
    else
      new_ident, seen = ARGV[at], 0
      at = at + 1
      if phase == END then
        outcome, retention = ARGV[at], ARGV[at + 1]
        at = at + 2
      elseif phase == PARKED then
        due, on = ARGV[at], ARGV[at + 1]
        at = at + 2
      end
      if numbers == NUMBERS then
        consumed, seen = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
        at = at + 2
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
      if has_length == LENGTH then
        outcome_length = ARGV[at]
        at = at + 1
      end
    end

    if not stored then
      -- gone
    elseif phase == ONE or phase == MANY then
      -- A mere append is checked by the length that it makes, and taken back when that is not its own.
      local to = active[n] == 1 and found(stored, ident)
      if to and append(shard .. "j:" .. address, length, entries, appended) then
        code = "a"
        if appended == 0 then
          newest = match(stored, "^%d*", to + 2) + call("LLEN", shard .. "i:" .. address)
        elseif length == 0 then
          loads = loads + 1
          load[loads] = address
        end
      end
    else
      local to = found(stored, ident)
      local bare = to and is_bare(stored, to)
      local stored_phase, stored_ident, consumed_text, control, body_at, _
      if bare then
        stored_ident, consumed_text, control, body_at = ident, "0", "", to + 7
      else
        stored_phase, stored_ident, consumed_text, _, _, control, body_at = parse(stored)
      end
      local stored_consumed = tonumber(consumed_text)
      laden = laden or members(b, first, count)
      local is_active, is_laden = active[n] == 1, laden[n] == 1
      local inbox, journal_key
      if is_laden or (appended and appended > 0) then
        inbox, journal_key = shard .. "i:" .. address, shard .. "j:" .. address
      end
      newest = is_laden and stored_consumed + call("LLEN", inbox) or stored_consumed
      if stored_ident == new_ident then
        -- my own repetition (O3)
        code = is_active and "a" or sub(stored_phase, 1, 1)
      elseif stored_ident ~= ident or not is_active or stored_phase == "e" then
        newest = 0
      elseif journal == KEEP and (is_laden and call("LLEN", journal_key) or 0) ~= length then
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
          leaves = leaves + 1
          leave[leaves] = address
          if code == "r" then
            letter = letter .. since()
            readies = readies + 1
            ready[readies] = address
          elseif code == "p" then
            on_text = on
            if due ~= "" then
              due_text = format("%.0f", byte(due) == 43 and now() + sub(due, 2) or tonumber(due))
              agenda[dues + 1], agenda[dues + 2] = due_text, address
              dues = dues + 2
            end
          else
            due_text = outcome_length or #outcome
            agenda[dues + 1], agenda[dues + 2] = forgotten(retention), address
            dues = dues + 2
            events = events or {}
            events[#events + 1] = "e\t" .. address .. "\t" .. ident
            if control ~= "" then
              later = later or {}
              later[#later + 1] = control
            end
            if linked == nil then linked = call("EXISTS", shard .. "y") == 1 end
            if linked then
              ended = ended or {}
              ended[#ended + 1] = { address, run_of(ident), outcome }
            end
          end
        end
        local is_ahead = consumed > stored_consumed
        local record
        if code == "e" and bare and body and not is_ahead then
          record = "e\t" .. new_ident .. "\t0\t" .. due_text .. "\t\t\t" .. outcome .. body
        else
          record = letter .. "\t" .. new_ident .. "\t" .. (is_ahead and format("%.0f", consumed) or consumed_text) .. "\t" .. due_text .. "\t"
            .. on_text .. "\t" .. control .. "\t" .. (outcome or "") .. (body or sub(stored, body_at))
        end
        set[sets + 1], set[sets + 2] = address, record
        sets = sets + 2
        if is_laden then
          if code == "e" then
            drop[drops + 1], drop[drops + 2] = inbox, journal_key
            drops = drops + 2
            unloads = unloads + 1
            unload[unloads] = address
          else
            if is_ahead then
              later = later or {}
              later[#later + 1] = { "LTRIM", inbox, consumed - stored_consumed, -1 }
            end
            if journal == CLEAR then
              drops = drops + 1
              drop[drops] = journal_key
              if newest <= math.max(consumed, stored_consumed) then
                unloads = unloads + 1
                unload[unloads] = address
              end
            end
          end
        end
        if appended and appended > 0 and code ~= "e" then
          later = later or {}
          later[#later + 1] = { "RPUSH", journal_key, unpack(ARGV, entries, entries + appended - 1) }
          if not is_laden then
            loads = loads + 1
            load[loads] = address
          end
        end
      end
    end
    if code ~= "c" then
      -- answers are kept as long as their request ids, so only while these are there (J4)
      if answered and code ~= "u" then
        later, events = later or {}, events or {}
        for m = ids, ids + 2 * answered - 2, 2 do
          if call("ZSCORE", shard .. "d", ARGV[m]) then later[#later + 1] = { "HSET", shard .. "o", ARGV[m], ARGV[m + 1] } end
          events[#events + 1] = "a\t" .. ARGV[m]
        end
      end
      if consumed > newest then newest = consumed end
    end
    reply[n] = newest > 0 and code .. format("%.0f", newest) or code
  end

  -- writes
  write(set, sets, shard, "r")
  write(agenda, dues, shard, "a")
  write(leave, leaves, shard, "w")
  write(ready, readies, shard, "q")
  if drops > 1 then call(unpack(drop, 1, drops)) end
  write(load, loads, shard, "b")
  write(unload, unloads, shard, "b")
  if later then
    for n = 1, #later do
      if type(later[n]) == "table" then call(unpack(later[n])) else digest(shard, later[n], "-") end
    end
  end
  if ended then
    --- use "release_links"
    for n = 1, #ended do release_links(shard, ended[n][1], ended[n][2], ended[n][3]) end
  end
  if events then call("SPUBLISH", shard .. "event", table.concat(events, "\n")) end
  return table.concat(reply)
end)
replies[#replies + 1] = format("%.0f", now())
for g = 1, #replies do
  if byte(replies[g]) == 33 then replies[g] = gsub(replies[g], "\n", " ") end
end
return table.concat(replies, "\n")
