--- Appends address, record and, where there are any, {inbox, journal} to `reply`. Fresh runs cost one EXISTS for all of them.
local function load(shard, addresses, records, reply)
  local inbox, journal = shard .. "i:", shard .. "j:"
  local lists = {}
  for n = 1, #addresses do
    lists[2 * n - 1] = inbox .. addresses[n]
    lists[2 * n] = journal .. addresses[n]
  end
  local any = call("EXISTS", unpack(lists)) > 0
  for n = 1, #addresses do
    local at = #reply
    reply[at + 1] = addresses[n]
    reply[at + 2] = records[n]
    reply[at + 3] = ""
    if any then
      reply[at + 3] = { call("LRANGE", lists[2 * n - 1], 0, -1), call("LRANGE", lists[2 * n], 0, -1) }
    end
  end
end
