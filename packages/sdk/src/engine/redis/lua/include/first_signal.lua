--- Sends the signal of a start, whose arguments begin at `at`, to the run that was started, or to the one that was there. Gives its status, "" when
--- there is none to send it to. Judged as a message is.
--- include "parse" "run_of" "accept"
local function first_signal(shard, address, reply, run, at)
  local running = type(reply) == "string" and match(reply, "^r(.*)")
  if running and ARGV[at + 5] == "1" then
    run = running
  elseif reply ~= 1 and reply ~= "s" then
    return ""
  end
  local id = ARGV[at + 1]
  if call("ZSCORE", shard .. "d", id) then return "duplicate" end
  local stored = call("HGET", shard .. "r", address)
  if not stored then return "absent" end
  local phase, ident = parse(stored)
  if run_of(ident) ~= run then return "replaced" end
  if phase == "e" then return "ended" end
  local waiting = call("LLEN", shard .. "i:" .. address)
  if waiting >= tonumber(ARGV[at + 3]) then return "full" end
  accept(shard, address, stored, waiting, "s", ARGV[at], id, ARGV[at + 2], ARGV[at + 4])
  return "accepted"
end
